// The OpenAPI document of a server, and whether what travels is as it says.

import assert from "node:assert/strict";
import Ajv from "ajv/dist/2020.js";
import formats from "ajv-formats";

export class Document {
  #ajv = new Ajv({ strict: false, allErrors: true });
  #paths;

  constructor(document) {
    // The document leaves room for fields of later versions; here an answer has no field that is not described.
    const closed = structuredClone(document);
    for (const schema of Object.values(closed.components.schemas)) {
      if (schema.type === "object") schema.additionalProperties ??= false;
    }
    formats(this.#ajv);
    this.#ajv.addSchema({ ...closed, $id: "openapi" });
    this.#paths = Object.entries(document.paths).map(([path, calls]) => ({
      path,
      calls,
      pattern: new RegExp(`^${path.replace(/\{stream\}/, ".+").replace(/\{\w+\}/g, "[^/]+")}$`),
    }));
  }

  /** Demands that a body sent with this call is as the document says. */
  checkRequest(method, path, body) {
    const { call, pointer } = this.#call(method, path);
    assert.ok(call.requestBody, `${method} ${path} takes no body`);
    this.#check(`${pointer}/requestBody/content/${escaped("application/json")}/schema`, body);
  }

  /** Demands that the document knows this answer: status, type, and what is in it. */
  checkAnswer(method, path, { status, headers }, body) {
    const { call, pointer } = this.#call(method, path);
    const answer = call.responses[status];
    assert.ok(answer, `${method} ${path} is not said to answer ${status}`);
    const [type] = headers.get("content-type").split(";");
    assert.ok(answer.content[type], `${method} ${path} is not said to answer ${status} as ${type}`);
    for (const [name, { required }] of Object.entries(answer.headers ?? {})) {
      if (required) assert.ok(headers.has(name), `${method} ${path} leaves out ${name}`);
    }
    this.#check(`${pointer}/responses/${status}/content/${escaped(type)}/schema`, body);
  }

  /** Demands that a value is of the schema at this place of the document. */
  checkAt(pointer, value) {
    this.#check(pointer, value);
  }

  #call(method, path) {
    const [bare] = path.split("?");
    const found = this.#paths.find(({ pattern }) => pattern.test(decodeURIComponent(bare)));
    const call = found?.calls[method.toLowerCase()];
    assert.ok(call, `${method} ${bare} is not in the document`);
    return { call, pointer: `/paths/${escaped(found.path)}/${method.toLowerCase()}` };
  }

  #check(pointer, value) {
    const validate = this.#ajv.getSchema(`openapi#${encodeURI(pointer)}`);
    assert.ok(validate, `there is no schema at ${pointer}`);
    const isValid = validate(value);
    assert.ok(isValid, `${JSON.stringify(value)}: ${this.#ajv.errorsText(validate.errors)}`);
  }
}

/** A part of a JSON pointer (RFC 6901). */
function escaped(part) {
  return part.replaceAll("~", "~0").replaceAll("/", "~1");
}
