import { seededRandom } from '../../../src/sandbox/mesh/random.js';
import { startBuiltinMesh } from '../../../src/sandbox/mesh/mesh.js';
import { describeMesh } from './behaviour/index.js';

describeMesh('the built-in mesh', (options) => startBuiltinMesh({ ...options, random: seededRandom(7) }));
