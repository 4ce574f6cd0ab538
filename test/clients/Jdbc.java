// The PostgreSQL JDBC driver: setString sends varchar, setDate and setTimestamp no type, other setters theirs; a statement is
// prepared on the server at its fifth execution.  Run as a single file: java -cp postgresql.jar Jdbc.java

import java.math.BigDecimal;
import java.sql.BatchUpdateException;
import java.sql.Connection;
import java.sql.Date;
import java.sql.DriverManager;
import java.sql.PreparedStatement;
import java.sql.ResultSet;
import java.sql.SQLException;
import java.sql.Statement;
import java.sql.Timestamp;
import java.sql.Types;
import java.time.LocalDate;
import java.time.OffsetDateTime;
import java.time.ZoneOffset;
import java.util.ArrayList;
import java.util.List;
import java.util.Objects;
import org.postgresql.PGStatement;
import org.postgresql.util.PGobject;
import org.postgresql.util.PSQLException;

public class Jdbc {
    private static final LocalDate BORN = LocalDate.of(1985, 12, 10);
    private static final OffsetDateTime SEEN = OffsetDateTime.of(2024, 3, 1, 10, 30, 0, 250_000_000, ZoneOffset.UTC);
    private static final String INSERT = "INSERT INTO patient (id, client, mrn, name, ssn, born, seen, weight, data, photo)"
        + " VALUES (?, 'jdbc', ?, ?, ?, ?, ?, ?, ?, ?)";
    private static int failed = 0;

    private interface Binder {
        void bind(PreparedStatement statement) throws SQLException;
    }

    private static void ok(boolean good, String what, Object detail) {
        System.out.println((good ? "ok" : "not ok") + " - jdbc: " + what + (good ? "" : ": " + detail));
        failed += good ? 0 : 1;
    }

    private static void same(Object got, Object expected, String what) {
        ok(Objects.equals(got, expected), what, "got " + got + ", expected " + expected);
    }

    private static PGobject json(String type, String value) throws SQLException {
        PGobject object = new PGobject();
        object.setType(type);
        object.setValue(value);
        return object;
    }

    private static int update(Connection connection, String sql, Binder binder) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            binder.bind(statement);
            return statement.executeUpdate();
        }
    }

    // The first column of all rows, as text.
    private static List<String> column(Connection connection, String sql, Binder binder) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement(sql)) {
            binder.bind(statement);
            List<String> all = new ArrayList<>();
            try (ResultSet result = statement.executeQuery()) {
                while (result.next()) {
                    all.add(result.getString(1));
                }
            }
            return all;
        }
    }

    private static void refused(Connection connection, String sql, Binder binder, String what, String state) {
        try {
            update(connection, sql, binder);
            ok(false, what, "no error");
        } catch (SQLException error) {
            String said = error.toString();
            if (error instanceof PSQLException && ((PSQLException) error).getServerErrorMessage() != null) {
                said += ((PSQLException) error).getServerErrorMessage();
            }
            ok(state.equals(error.getSQLState()) && !said.contains("Kanary"), what, error.getSQLState() + " " + said);
        }
    }

    private static void values(Connection connection) throws SQLException {
        update(connection, INSERT, s -> {
            s.setLong(1, 5001);
            s.setString(2, "jdbc-1");
            s.setString(3, "Ada Kanary ü");
            s.setString(4, "987-65-5001");
            s.setObject(5, BORN);
            s.setObject(6, SEEN);
            s.setBigDecimal(7, new BigDecimal("61.25"));
            s.setObject(8, json("jsonb", "{\"a\": [1, \"Kanary\"]}"));
            s.setBytes(9, new byte[] {0, -1, 112});
        });
        try (Statement statement = connection.createStatement();
             ResultSet r = statement.executeQuery("SELECT name, ssn, born, seen, weight, data, photo FROM patient_redacted WHERE id = 5001")) {
            ok(r.next(), "the row is there", "none");
            same(r.getString(1) + r.getString(2), "Ada Kanary ü987-65-5001", "text goes in and comes out");
            same(r.getObject(3, LocalDate.class), BORN, "date");
            same(r.getObject(4, OffsetDateTime.class), SEEN, "timestamp");
            same(r.getBigDecimal(5), new BigDecimal("61.25"), "number");
            same(r.getString(6), "{\"a\": [1, \"Kanary\"]}", "jsonb");
            same(r.getBytes(7).length + "/" + r.getBytes(7)[1], "3/-1", "bytes");
            same(r.getMetaData().getColumnTypeName(3) + r.getMetaData().getColumnTypeName(5), "datenumeric", "the view has the plain types");
        }
        update(connection, INSERT, s -> {
            s.setLong(1, 5002);
            int[] types = {Types.VARCHAR, Types.VARCHAR, Types.VARCHAR, Types.DATE, Types.TIMESTAMP_WITH_TIMEZONE, Types.NUMERIC, Types.OTHER, Types.BINARY};
            for (int i = 0; i < types.length; i++) {
                s.setNull(i + 2, types[i]);
            }
        });
        same(column(connection, "SELECT concat(name, ssn, born, seen, weight, data, photo) FROM patient_redacted WHERE id = 5002", s -> { }),
            List.of(""), "NULL of every type");
    }

    private static void type(Connection connection, String name, String setter, Binder binder, String shown) {
        String what = name + " by " + setter;

        try {
            update(connection, "UPDATE patient SET " + name + " = ? WHERE id = 5001", binder);
            same(column(connection, "SELECT " + name + " FROM patient_redacted WHERE id = 5001", s -> { }), List.of(shown), what);
        } catch (SQLException error) {
            ok(false, what, error);
        }
    }

    private static void types(Connection connection) throws SQLException {
        type(connection, "name", "setString", s -> s.setString(1, "String"), "String");
        type(connection, "name", "setObject(String)", s -> s.setObject(1, "Object"), "Object");
        type(connection, "name", "setObject(CHAR)", s -> s.setObject(1, "Char", Types.CHAR), "Char");
        type(connection, "name", "setObject(LONGVARCHAR)", s -> s.setObject(1, "Long", Types.LONGVARCHAR), "Long");
        type(connection, "name", "setObject(OTHER)", s -> s.setObject(1, "Other", Types.OTHER), "Other");
        type(connection, "weight", "setInt", s -> s.setInt(1, 70000), "70000");
        type(connection, "weight", "setShort", s -> s.setShort(1, (short) 7), "7");
        type(connection, "weight", "setLong", s -> s.setLong(1, 1L << 40), "1099511627776");
        type(connection, "weight", "setDouble", s -> s.setDouble(1, 61.5), "61.5");
        type(connection, "weight", "setFloat", s -> s.setFloat(1, 0.25f), "0.25");
        type(connection, "born", "setDate", s -> s.setDate(1, Date.valueOf(BORN)), BORN.toString());
        type(connection, "born", "setObject(OTHER)", s -> s.setObject(1, "1999-12-31", Types.OTHER), "1999-12-31");
        type(connection, "born", "setObject(LocalDateTime)", s -> s.setObject(1, BORN.atTime(8, 0)), BORN.toString());
        type(connection, "seen", "setTimestamp", s -> s.setTimestamp(1, Timestamp.from(SEEN.toInstant())), "2024-03-01 10:30:00.25+00");
        type(connection, "seen", "setObject(OffsetDateTime)", s -> s.setObject(1, SEEN.plusHours(1)), "2024-03-01 11:30:00.25+00");
        type(connection, "data", "json", s -> s.setObject(1, json("json", "{\"b\": null}")), "{\"b\": null}");
        type(connection, "data", "setObject(OTHER)", s -> s.setObject(1, "[2]", Types.OTHER), "[2]");
        type(connection, "photo", "setBytes", s -> s.setBytes(1, new byte[] {1}), "\\x01");
        update(connection, "UPDATE patient SET name = coalesce(?, 'none'), born = ? WHERE id = 5001", s -> {
            s.setString(1, "Ada Kanary");
            s.setObject(2, BORN);
        });
    }

    private static void work(Connection connection) throws SQLException {
        same(column(connection, "SELECT id FROM patient_redacted WHERE ssn = ?", s -> s.setString(1, "987-65-5001")), List.of("5001"), "search by equality");
        same(column(connection, "SELECT id FROM patient_redacted WHERE ssn IN (?, ?)", s -> {
            s.setString(1, "987-65-5001");
            s.setString(2, "none");
        }), List.of("5001"), "search in a list");
        same(column(connection, "SELECT id FROM patient_redacted WHERE ssn = ANY (?)",
            s -> s.setArray(1, connection.createArrayOf("varchar", new String[] {"987-65-5001", "none"}))), List.of("5001"), "search in an array");
        same(column(connection, "SELECT id FROM patient_redacted WHERE born = ? AND client = 'jdbc'", s -> s.setObject(1, BORN)), List.of("5001"),
            "search by a date");
        for (String name : List.of("First Kanary", "Second Kanary")) {
            update(connection, "INSERT INTO patient (id, client, name, ssn) VALUES (?, 'jdbc', ?, ?)"
                + " ON CONFLICT (id) DO UPDATE SET name = excluded.name, ssn = excluded.ssn", s -> {
                    s.setLong(1, 5003);
                    s.setString(2, name);
                    s.setString(3, "987-65-5003");
                });
            same(column(connection, "SELECT name FROM patient_redacted WHERE id = 5003", s -> { }), List.of(name), "upsert, " + name.split(" ")[0]);
        }
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO patient (client, name) VALUES ('jdbc', ?)", new String[] {"id"})) {
            statement.setString(1, "Generated Kanary");
            statement.executeUpdate();
            try (ResultSet keys = statement.getGeneratedKeys()) {
                keys.next();
                long key = keys.getLong(1);
                same(column(connection, "SELECT name FROM patient_redacted WHERE id = ?", s -> s.setLong(1, key)), List.of("Generated Kanary"),
                    "a generated key");
            }
        }
        connection.setAutoCommit(false);
        update(connection, "UPDATE patient SET name = ? WHERE id = 5003", s -> s.setString(1, "Undone"));
        connection.rollback();
        connection.setAutoCommit(true);
        same(column(connection, "SELECT name FROM patient_redacted WHERE id = 5003", s -> { }), List.of("Second Kanary"), "a rolled back transaction");
    }

    private static void batch(Connection connection, long base, String what) throws SQLException {
        try (PreparedStatement statement = connection.prepareStatement("INSERT INTO patient (id, client, name, born, weight) VALUES (?, 'jdbc', ?, ?, ?)")) {
            for (int i = 0; i < 60; i++) {
                statement.setLong(1, base + i);
                statement.setString(2, "Batch Kanary " + i);
                statement.setObject(3, BORN.plusDays(i));
                statement.setBigDecimal(4, BigDecimal.valueOf(i));
                statement.addBatch();
            }
            statement.executeBatch();
        } catch (BatchUpdateException error) {
            ok(false, what, error.getNextException());
            return;
        }
        same(column(connection, "SELECT count(*) FROM patient_redacted WHERE name = 'Batch Kanary ' || (id - ?) AND id BETWEEN ? AND ? AND weight = id - ?", s -> {
            s.setLong(1, base);
            s.setLong(2, base);
            s.setLong(3, base + 59);
            s.setLong(4, base);
        }), List.of("60"), what);
    }

    private static void prepared(Connection connection) throws SQLException {
        List<String> got = new ArrayList<>();
        List<String> expected = new ArrayList<>();

        try (PreparedStatement put = connection.prepareStatement("UPDATE patient SET name = ?, weight = ? WHERE id = 5003");
             PreparedStatement get = connection.prepareStatement("SELECT name, weight, born FROM patient_redacted WHERE id = ?");
             PreparedStatement find = connection.prepareStatement("SELECT id FROM patient_redacted WHERE ssn = ?")) {
            for (int i = 0; i < 12; i++) {
                put.setString(1, "Prepared " + i);
                put.setBigDecimal(2, BigDecimal.valueOf(i));
                put.executeUpdate();
                get.setLong(1, 5003);
                find.setString(1, "987-65-5003");
                try (ResultSet r = get.executeQuery(); ResultSet f = find.executeQuery()) {
                    got.add((r.next() ? r.getString(1) + r.getBigDecimal(2) + r.getObject(3) : "") + (f.next() ? f.getLong(1) : ""));
                }
                expected.add("Prepared " + i + i + "null5003");
            }
            ok(get.unwrap(PGStatement.class).isUseServerPrepare(), "the driver prepared them on the server", "no");
        }
        same(got, expected, "prepared statements, twelve times");
    }

    private static void errors(Connection connection) {
        refused(connection, "UPDATE patient SET born = ? WHERE id = 5001", s -> s.setObject(1, "Kanary-date", Types.OTHER), "a bad date is not shown", "22P02");
        refused(connection, "UPDATE patient SET weight = ? WHERE id = 5001", s -> s.setObject(1, "Kanary-number", Types.OTHER), "nor a bad number", "22P02");
        refused(connection, "UPDATE patient SET data = ? WHERE id = 5001", s -> s.setObject(1, "{\"Kanary\": ", Types.OTHER), "nor bad JSON", "22P02");
        refused(connection, "UPDATE patient SET born = ? WHERE id = 5001", s -> s.setString(1, "Kanary-date"), "a string for a date: refused as for a plain date", "42804");
        refused(connection, "INSERT INTO patient (id, client, name) VALUES (5001, 'jdbc', ?)", s -> s.setString(1, "Kanary twice"),
            "nor a value in a duplicate row", "23505");
        refused(connection, "INSERT INTO patient (id, client, name) VALUES (5999, NULL, ?)", s -> s.setString(1, "Kanary without"),
            "nor one in a row that fails a constraint", "23502");
        refused(connection, "UPDATE patient SET name = name WHERE born::text = ?", s -> s.setString(1, "x"), "a column without privilege cannot be read", "42501");
        refused(connection, "UPDATE patient SET name = ? WHERE id = 5001", s -> s.setString(1, "phi:1:EQAAAAIAAgAA"), "a sealed value cannot be brought in", "42501");
    }

    public static void main(String[] arguments) throws SQLException {
        String url = "jdbc:postgresql://" + System.getenv("PGHOST") + ":" + System.getenv("PGPORT") + "/" + System.getenv("PGDATABASE")
            + "?options=-c%20timezone=UTC&user=";

        try (Connection connection = DriverManager.getConnection(url + "app")) {
            same(column(connection, "SELECT actor || '/' || purpose FROM phi.whoami()", s -> { }), List.of("Dr. Client/TREAT"), "the identity");
            values(connection);
            types(connection);
            work(connection);
            batch(connection, 5100, "a batch");
            prepared(connection);
            same(column(connection, "SELECT name FROM patient WHERE id = 5001", s -> { }).get(0).substring(0, 6), "phi:1:", "the table itself has sealed values");
            errors(connection);
        }
        try (Connection connection = DriverManager.getConnection(url + "app&reWriteBatchedInserts=true")) {
            batch(connection, 5200, "a batch that the driver rewrites to rows of one statement");
        }
        try (Connection connection = DriverManager.getConnection(url + "app&stringtype=unspecified&binaryTransfer=false")) {
            update(connection, "UPDATE patient SET born = ?, weight = ?, data = ? WHERE id = 5001", s -> {
                s.setString(1, "2001-02-03");
                s.setString(2, "1.5");
                s.setString(3, "[1]");
            });
            same(column(connection, "SELECT born || '/' || weight || '/' || data FROM patient_redacted WHERE id = 5001", s -> { }), List.of("2001-02-03/1.5/[1]"),
                "strings for every type with stringtype=unspecified");
        }
        try (Connection connection = DriverManager.getConnection(url + "app&preferQueryMode=simple")) {
            update(connection, "UPDATE patient SET name = ?, born = ?, weight = ? WHERE id = 5001", s -> {
                s.setString(1, "Simple 'Kanary");
                s.setDate(2, Date.valueOf(BORN));
                s.setInt(3, 5);
            });
            same(column(connection, "SELECT name || '/' || born || '/' || weight FROM patient_redacted WHERE ssn = ?", s -> s.setString(1, "987-65-5001")),
                List.of("Simple 'Kanary/1985-12-10/5"), "the simple protocol");
        }
        try (Connection connection = DriverManager.getConnection(url + "stranger")) {
            same(column(connection, "SELECT count(*) FROM patient_redacted", s -> { }), List.of("0"), "a stranger sees no row");
        }
        System.exit(failed > 0 ? 1 : 0);
    }
}
