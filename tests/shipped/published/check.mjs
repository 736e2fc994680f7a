// Reads a JSON array of documents from standard input, and prints a JSON array with what is wrong
// with each: Kubernetes resources by the validators of the npm packages @kubernetes-models/…, which
// are made from the published definitions, and everything else as a Compose file, by the schema of
// the Compose specification in dclint.
import { readFileSync } from 'node:fs';
import Ajv from 'ajv';

const GROUPS = {
  apps: 'kubernetes-models',
  'extensions.istio.io': '@kubernetes-models/istio',
  'gateway.envoyproxy.io': '@kubernetes-models/envoy-gateway',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator',
};

const schema = new URL('node_modules/dclint/schemas/compose.schema.json', import.meta.url);
// The schema names its own with `https`, which Ajv does not know.
const ajv = new Ajv({ strict: false, allErrors: true, validateSchema: false, validateFormats: false });
const compose = ajv.compile(JSON.parse(readFileSync(schema, 'utf8')));

async function mistakes(document) {
  if (!document.kind) {
    return compose(document) ? [] : compose.errors.map((e) => `${e.instancePath} ${e.message}`);
  }
  const [group, version] = document.apiVersion.split('/');
  const model = (await import(`${GROUPS[group]}/${group}/${version}`))[document.kind];
  try {
    new model(document).validate();
    return [];
  } catch (error) {
    return [error.message];
  }
}

const documents = JSON.parse(readFileSync(0, 'utf8'));
console.log(JSON.stringify(await Promise.all(documents.map(mistakes))));
