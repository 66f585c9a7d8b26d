// Validates documents: CycloneDX 1.6 strictly, with its official library, or,
// where the first argument is a JSON schema, by that. Run from the folder that
// the library is installed in.
const { readFileSync } = require("node:fs");
const { createRequire } = require("node:module");
const library = createRequire(process.cwd() + "/");

function cyclonedx() {
  const { Spec, Validation } = library("@cyclonedx/cyclonedx-library");
  const validator = new Validation.JsonStrictValidator(Spec.Version.v1dot6);
  return (text) => validator.validate(text);
}

function bySchema(file) {
  const Ajv = library("ajv");
  const ajv = new Ajv({ strict: false, allErrors: true });
  library("ajv-formats")(ajv);
  const schema = JSON.parse(readFileSync(file, "utf8"));
  delete schema.$schema; // a version that ajv has no description of
  delete schema.id; // which draft 4 calls $id
  const validate = ajv.compile(schema);
  return async (text) => (validate(JSON.parse(text)) ? null : validate.errors);
}

(async () => {
  const [schema, ...files] = process.argv.slice(2);
  const validate = schema === "cyclonedx" ? cyclonedx() : bySchema(schema);
  for (const file of files) {
    const wrong = await validate(readFileSync(file, "utf8"));
    if (wrong !== null) {
      console.error(file, JSON.stringify(wrong, null, 1));
      process.exitCode = 1;
    }
  }
})();
