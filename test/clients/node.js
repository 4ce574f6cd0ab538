// node-postgres: every parameter goes without a type, as text, a Buffer in binary; a named statement is prepared once.
'use strict';

const { Client } = require('pg');

let failed = 0;

function ok(good, what, detail) {
  console.log((good ? 'ok' : 'not ok') + ' - node: ' + what + (good ? '' : ': ' + detail));
  if (!good) failed++;
}

function same(got, expected, what) {
  const [a, b] = [JSON.stringify(got), JSON.stringify(expected)];
  ok(a === b, what, `got ${a}, expected ${b}`);
}

// The query fails with the SQLSTATE, and nothing that the error holds shows a value.
async function refused(client, text, values, what, code) {
  try {
    await client.query(text, values);
    ok(false, what, 'no error');
  } catch (error) {
    const said = error.message + JSON.stringify(error);
    ok(error.code === code && !said.includes('Kanary'), what, said);
  }
}

const insert = `INSERT INTO patient (id, client, mrn, name, ssn, born, seen, weight, data, photo)
  VALUES ($1, 'node', $2, $3, $4, $5, $6, $7, $8, $9)`;
const select = `SELECT name, ssn, born::text AS born, seen, weight, data, photo FROM patient_redacted WHERE id = $1`;

async function values(client) {
  const seen = new Date('2024-03-01T10:30:00.250Z');
  const row = ['node-1', 'Ada Kanary ü', '987-65-4001', '1985-12-10', seen, 61.25, { a: [1, 'Kanary'] }, Buffer.from([0, 255, 112])];

  await client.query(insert, [4001, ...row]);
  const one = (await client.query(select, [4001])).rows[0];
  same([one.name, one.ssn, one.born, one.seen.toISOString(), one.weight, one.data, one.photo.toString('hex')],
    ['Ada Kanary ü', '987-65-4001', '1985-12-10', seen.toISOString(), '61.25', { a: [1, 'Kanary'] }, '00ff70'], 'every type goes in and comes out');
  await client.query(insert, [4002, null, null, null, null, null, null, null, null]);
  same(Object.values((await client.query(select, [4002])).rows[0]), [null, null, null, null, null, null, null], 'null');
  for (const [column, value, shown] of [['weight', 7, '7'], ['weight', '12.50', '12.50'], ['weight', 2n ** 40n, '1099511627776'],
    ['born', new Date(1985, 11, 10), '1985-12-10'], ['name', 42, '42'], ['name', '', ''], ['data', '"text"', '"text"'],
    ['data', [1, 2], null], ['photo', Buffer.from('phi:1:x'), '\\x7068693a313a78']]) {
    const bound = column === 'data' && typeof value === 'object' ? JSON.stringify(value) : value;
    const what = `${column} from ${Buffer.isBuffer(value) ? 'a Buffer that looks sealed' : typeof value + ' ' + value}`;

    try {
      await client.query(`UPDATE patient SET ${column} = $1 WHERE id = 4001`, [bound]);
      same((await client.query(`SELECT ${column}::text AS c FROM patient_redacted WHERE id = 4001`)).rows[0].c, shown ?? '[1, 2]', what);
    } catch (error) {
      ok(column === 'photo' && error.code === '42501', what + ': refused', error.code + ' ' + error.message);
    }
  }
}

async function work(client) {
  same((await client.query('SELECT id FROM patient_redacted WHERE ssn = $1', ['987-65-4001'])).rows, [{ id: '4001' }], 'search by equality');
  same((await client.query('SELECT id FROM patient_redacted WHERE ssn = ANY($1)', [['987-65-4001', 'none']])).rows, [{ id: '4001' }], 'search in a list');
  for (const name of ['First Kanary', 'Second Kanary']) {
    await client.query(`INSERT INTO patient (id, client, name, ssn) VALUES ($1, 'node', $2, $3)
      ON CONFLICT (id) DO UPDATE SET name = excluded.name, ssn = excluded.ssn`, [4003, name, '987-65-4003']);
    same((await client.query(select, [4003])).rows[0].name, name, 'upsert, ' + name.split(' ')[0]);
  }
  const made = await client.query(`INSERT INTO patient (client, name) VALUES ('node', $1) RETURNING id`, ['Generated Kanary']);
  same((await client.query(select, [made.rows[0].id])).rows[0].name, 'Generated Kanary', 'a generated key, RETURNING');
  await client.query(`INSERT INTO patient (id, client, name) SELECT i, 'node', n FROM unnest($1::bigint[], $2::text[]) AS u (i, n)`,
    [[4100, 4101], ['Array Kanary 0', 'Array Kanary 1']]);
  same((await client.query('SELECT name FROM patient_redacted WHERE id IN (4100, 4101) ORDER BY id')).rows.map((r) => r.name),
    ['Array Kanary 0', 'Array Kanary 1'], 'rows from arrays');
  await client.query('BEGIN');
  await client.query('UPDATE patient SET name = $1 WHERE id = 4003', ['Undone']);
  await client.query('ROLLBACK');
  same((await client.query(select, [4003])).rows[0].name, 'Second Kanary', 'a rolled back transaction');
}

async function prepared(client) {
  const got = [];
  const expected = [];

  for (let i = 0; i < 12; i++) {
    await client.query({ name: 'put', text: insert, values: [4200 + i, null, `Prepared ${i}`, `987-65-${4200 + i}`, '2000-01-01', new Date(), i, { i }, null] });
    got.push((await client.query({ name: 'get', text: select, values: [4200 + i] })).rows[0].name);
    expected.push(`Prepared ${i}`);
  }
  same(got, expected, 'named statements, twelve times');
  for (let i = 0; i < 12; i++) {
    got[i] = (await client.query({ name: 'find', text: 'SELECT id FROM patient_redacted WHERE ssn = $1', values: [`987-65-${4200 + i}`] })).rows;
    expected[i] = [{ id: String(4200 + i) }];
  }
  same(got, expected, 'a named search, twelve times');
  same((await client.query(`SELECT bool_and(generic_plans + custom_plans = 12) AS used FROM pg_prepared_statements`)).rows, [{ used: true }],
    'each was prepared once');
}

async function errors(client) {
  same((await client.query('SELECT name FROM patient WHERE id = 4001')).rows[0].name.slice(0, 6), 'phi:1:', 'the table itself has sealed values');
  await refused(client, 'UPDATE patient SET born = $1 WHERE id = 4001', ['Kanary-date'], 'a bad date is not shown', '22P02');
  await refused(client, 'UPDATE patient SET weight = $1 WHERE id = 4001', ['Kanary-number'], 'nor a bad number', '22P02');
  await refused(client, 'UPDATE patient SET data = $1 WHERE id = 4001', ['{"Kanary": '], 'nor bad JSON', '22P02');
  await refused(client, `INSERT INTO patient (id, client, name) VALUES (4001, 'node', $1)`, ['Kanary twice'], 'nor a value in a duplicate row', '23505');
  await refused(client, `INSERT INTO patient (id, client, name) VALUES (4999, NULL, $1)`, ['Kanary without'],
    'nor one in a row that fails a constraint', '23502');
  await refused(client, 'SELECT born FROM patient', [], 'a column without privilege cannot be read', '42501');
  await refused(client, 'UPDATE patient SET name = $1 WHERE id = 4001', ['phi:1:EQAAAAIAAgAA'], 'a sealed value cannot be brought in', '42501');
}

async function main() {
  const client = new Client();
  const stranger = new Client({ user: 'stranger' });

  await client.connect();
  same((await client.query('SELECT actor, purpose FROM phi.whoami()')).rows, [{ actor: 'Dr. Client', purpose: 'TREAT' }], 'the identity');
  await values(client);
  await work(client);
  await prepared(client);
  await errors(client);
  await client.end();
  await stranger.connect();
  same((await stranger.query('SELECT count(*) FROM patient_redacted')).rows, [{ count: '0' }], 'a stranger sees no row');
  await stranger.end();
}

main().catch((error) => ok(false, 'ended badly', error.stack)).finally(() => process.exit(failed ? 1 : 0));
