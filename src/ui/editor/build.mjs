// Makes ../assets/vendor/codemirror.js and its licences: npm ci && npm run build
import fs from 'node:fs';
import path from 'node:path';
import { build } from 'esbuild';

const VENDOR = path.join(import.meta.dirname, '../assets/vendor');

// The pages admit no styles but those of files and of scripts that make sheets. CodeMirror makes sheets only
// below a shadow root; it works as well for the whole document.
const SHEETS = {
  name: 'sheets',
  setup: ({ onLoad }) => onLoad({ filter: /style-mod\/src\/style-mod\.js$/ }, ({ path: file }) => {
    const text = fs.readFileSync(file, 'utf8');
    const contents = text.replace('if (!root.head && root.adoptedStyleSheets', 'if (root.adoptedStyleSheets');
    if (contents === text) throw new Error('style-mod is another one: look where it makes its sheets');
    return { contents };
  }),
};

const { metafile } = await build({
  absWorkingDir: import.meta.dirname,
  entryPoints: ['codemirror.mjs'],
  outfile: path.join(VENDOR, 'codemirror.js'),
  bundle: true,
  format: 'esm',
  legalComments: 'none',
  metafile: true,
  minify: true,
  plugins: [SHEETS],
  target: 'es2022',
});

const folders = Object.keys(metafile.inputs).map((file) => /^.*node_modules\/(?:@[^/]+\/)?[^/]+/.exec(file)?.[0]);
const licences = [...new Set(folders)].filter(Boolean).sort().map((of) => {
  const folder = path.join(import.meta.dirname, of);
  const { name, version, license } = JSON.parse(fs.readFileSync(path.join(folder, 'package.json'), 'utf8'));
  const file = fs.readdirSync(folder).find((one) => /^licen[cs]e/i.test(one));
  const text = file ? fs.readFileSync(path.join(folder, file), 'utf8').trim() : `${license}; its text comes with the package.`;
  return `${name} ${version} (${license})\n\n${text}\n`;
});
fs.writeFileSync(path.join(VENDOR, 'codemirror.LICENSE'), licences.join(`\n${'-'.repeat(78)}\n\n`));
