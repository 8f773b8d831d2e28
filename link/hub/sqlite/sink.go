// Package sqlite keeps what the sites send in a SQLite database: a hub.Sink, a
// hub.Fleet and hub.Chains. Its tables are described in schema.sql and chains.sql.
//
// A batch is one transaction, with the marks in it, flushed to disk before Store
// returns; so an acknowledgement means durable. Several processes may share one
// file. A copy of the file that is put back asks the sites for what came after it.
package sqlite

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"sync"
	"time"

	_ "modernc.org/sqlite" // the driver "sqlite"

	"skyhaul/link/hub"
)

// Sink writes a database. It is safe for concurrent use.
type Sink struct {
	db *sql.DB

	mu      sync.Mutex // held for the length of a transaction; guards what follows
	conn    *sql.Conn
	stmts   map[string]*sql.Stmt
	marks   map[string]siteMarks // by site; good as long as At is what the database says
	schemas map[schemaKey]schema // of committed transactions only
}

// Open opens the database at path, made anew where there is none.
func Open(ctx context.Context, path string) (*Sink, error) {
	db, err := open(path, "rwc", "journal_mode(WAL)", "synchronous(FULL)")
	if err != nil {
		return nil, err
	}
	s := &Sink{
		db:      db,
		stmts:   make(map[string]*sql.Stmt),
		marks:   make(map[string]siteMarks),
		schemas: make(map[schemaKey]schema),
	}
	if s.conn, err = db.Conn(ctx); err == nil {
		err = s.update(ctx, create)
	}
	if err != nil {
		db.Close()
		return nil, fmt.Errorf("database %s: %w", path, err)
	}
	return s, nil
}

// Close closes the database.
func (s *Sink) Close() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, st := range s.stmts {
		st.Close()
	}
	s.conn.Close()
	return s.db.Close()
}

// busyTimeout is how long a transaction waits for one of another process.
const busyTimeout = 10 * time.Second

func open(path, mode string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"mode": {mode}, "_pragma": {fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds())}}
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	u := url.URL{Scheme: "file", Opaque: (&url.URL{Path: path}).EscapedPath(), RawQuery: q.Encode()}
	return sql.Open("sqlite", u.String())
}

// tx is a transaction of a Sink.
type tx struct {
	ctx     context.Context
	s       *Sink
	now     int64                // Unix milliseconds
	schemas map[schemaKey]schema // met in this transaction
	after   []func()             // to be done when it is committed
}

// update runs f in a transaction that no other writer can come between.
func (s *Sink) update(ctx context.Context, f func(*tx) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := ctx.Err(); err != nil {
		return err
	}
	// A transaction takes milliseconds and is not cut short: the driver would
	// start a goroutine to watch the context for each of its statements.
	ctx = context.WithoutCancel(ctx)
	if _, err := s.conn.ExecContext(ctx, "BEGIN IMMEDIATE"); err != nil {
		return err
	}
	t := &tx{ctx: ctx, s: s, now: time.Now().UnixMilli(), schemas: make(map[schemaKey]schema)}
	err := f(t)
	if err == nil {
		_, err = s.conn.ExecContext(ctx, "COMMIT")
	}
	if err != nil {
		s.conn.ExecContext(ctx, "ROLLBACK")
		return err
	}
	for _, do := range t.after {
		do()
	}
	return nil
}

// stmt returns a prepared statement, kept for the next time.
func (t *tx) stmt(query string) (*sql.Stmt, error) {
	if st, ok := t.s.stmts[query]; ok {
		return st, nil
	}
	st, err := t.s.conn.PrepareContext(t.ctx, query)
	if err == nil {
		t.s.stmts[query] = st
	}
	return st, err
}

func (t *tx) exec(query string, args ...any) (sql.Result, error) {
	st, err := t.stmt(query)
	if err != nil {
		return nil, err
	}
	return st.ExecContext(t.ctx, args...)
}

// row reads the one row of a query.
func (t *tx) row(query string, args []any, dst ...any) error {
	st, err := t.stmt(query)
	if err != nil {
		return err
	}
	return st.QueryRowContext(t.ctx, args...).Scan(dst...)
}

var (
	_ hub.Sink   = (*Sink)(nil)
	_ hub.Fleet  = (*Sink)(nil)
	_ hub.Chains = (*Sink)(nil)
)
