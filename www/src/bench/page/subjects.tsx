import { SUBJECTS } from "../subjects/registry.ts";

/** Who is measured and how, for those who doubt it. */
export function Subjects() {
  return (
    <section className="subjects" aria-labelledby="subjects-title">
      <h2 id="subjects-title">Who is measured, and how</h2>
      <p>
        All keep the same events of loan applications and fold them to the same rows; after each
        measurement the rows are checked against a plain fold of the data. Each opens in a fresh
        page and has its own database, and they take turns, so that a slow moment hits all alike.
        The raw ones are the limit: they have no ids, versions, checksums, conflict checks or
        recovery.
      </p>
      <dl>
        {SUBJECTS.map(({ id, name, path, durability }) => (
          <div key={id}>
            <dt>{name}</dt>
            <dd>{path}</dd>
            <dd>Durability of a single append: {durability}</dd>
          </div>
        ))}
        <div>
          <dt>Tidelog's Rust fold</dt>
          <dd>
            By npm run bench only, which builds it and LiveStore apart: this page has neither.
          </dd>
        </div>
      </dl>
    </section>
  );
}
