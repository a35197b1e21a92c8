// Package postgres runs pgx, with its pool, against a small server that speaks the protocol of PostgreSQL.
package postgres

import (
	"context"
	"database/sql"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
	_ "github.com/jackc/pgx/v5/stdlib" // for database/sql

	"github.com/frayrpc/fray/examples/abroad"
)

// table is what the server stores: lines, which are numbered from 1.
type table struct{ lines []string }

// serve is the server: it runs until its process ends.
func (t *table) serve() error {
	l, err := net.Listen("tcp", ":5432")
	if err != nil {
		return err
	}
	for {
		conn, err := l.Accept()
		if err != nil {
			return err
		}
		go func() {
			defer conn.Close()
			_ = t.speak(pgproto3.NewBackend(conn, conn))
		}()
	}
}

// speak serves one connection. The only statement is an insert that returns the line's number.
func (t *table) speak(b *pgproto3.Backend) error {
	if _, err := b.ReceiveStartupMessage(); err != nil {
		return err
	}
	b.Send(&pgproto3.AuthenticationOk{})
	b.Send(&pgproto3.ParameterStatus{Name: "standard_conforming_strings", Value: "on"})
	b.Send(&pgproto3.ParameterStatus{Name: "client_encoding", Value: "UTF8"})
	b.Send(&pgproto3.BackendKeyData{ProcessID: 1, SecretKey: []byte{0, 0, 0, 1}})
	for {
		b.Send(&pgproto3.ReadyForQuery{TxStatus: 'I'})
		if err := b.Flush(); err != nil {
			return err
		}
		msg, err := b.Receive()
		if err != nil {
			return err
		}
		query, ok := msg.(*pgproto3.Query)
		if !ok {
			return fmt.Errorf("%T is not served", msg)
		}
		_, line, found := strings.Cut(query.String, "'")
		if !found {
			b.Send(&pgproto3.EmptyQueryResponse{})
			continue
		}
		line, _, _ = strings.Cut(line, "'")
		n := 0
		abroad.Tell(func() {
			t.lines = append(t.lines, line)
			n = len(t.lines)
		})
		time.Sleep(20 * time.Millisecond)
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("n"), DataTypeOID: 20, DataTypeSize: 8, TypeModifier: -1}}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{fmt.Append(nil, n)}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")})
	}
}

const url = "postgres://app@server/db?sslmode=disable&default_query_exec_mode=simple_protocol"

// app is a program that inserts by a pool of pgx and by package sql.
type app struct {
	pool *pgxpool.Pool
	db   *sql.DB
}

func newApp(ctx context.Context) (*app, error) {
	pool, err := pgxpool.New(ctx, url+"&pool_max_conns=3")
	if err != nil {
		return nil, err
	}
	db, err := sql.Open("pgx", url)
	return &app{pool, db}, err
}

// insert inserts a line, once. It returns the number that it was told, or 0 if there was an error.
func (a *app) insert(ctx context.Context, line string) int {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	n := 0
	if a.pool.QueryRow(ctx, "insert into log values ($1) returning n", line).Scan(&n) != nil {
		return 0
	}
	return n
}

// exec inserts a line by package sql, once. It reports whether it was told that it is there.
func (a *app) exec(ctx context.Context, line string) bool {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	_, err := a.db.ExecContext(ctx, "insert into log values ($1) returning n", line)
	return err == nil
}
