/** The locked dependencies, once; for an image that is built in layers. */
import { install } from './setup.mjs';

await install();
