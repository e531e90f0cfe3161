/** Stands where a command is still to come. */
console.error(
  `npm run ${process.argv[2]}: not there yet. README.md, "What is not there yet", says what it will do.`,
);
process.exit(2);
