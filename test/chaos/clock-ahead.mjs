/** Loaded before a program: its wall clock is CHAOS_CLOCK_AHEAD_MS ahead. */
const ahead = Number(process.env.CHAOS_CLOCK_AHEAD_MS);
const now = Date.now;
Date.now = () => now() + ahead;
