// Package postgres runs pgx, with its pool, against a small server that speaks the protocol of PostgreSQL.
package postgres

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgproto3"
	"github.com/jackc/pgx/v5/pgxpool"
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
		t.lines = append(t.lines, line[:strings.Index(line, "'")])
		n := len(t.lines)
		time.Sleep(time.Millisecond)
		b.Send(&pgproto3.RowDescription{Fields: []pgproto3.FieldDescription{{Name: []byte("n"), DataTypeOID: 20, DataTypeSize: 8, TypeModifier: -1}}})
		b.Send(&pgproto3.DataRow{Values: [][]byte{fmt.Append(nil, n)}})
		b.Send(&pgproto3.CommandComplete{CommandTag: []byte("INSERT 0 1")})
	}
}

// connect makes a pool.
func connect(ctx context.Context) (*pgxpool.Pool, error) {
	config, err := pgxpool.ParseConfig("postgres://app@server/db?sslmode=disable&default_query_exec_mode=simple_protocol&pool_max_conns=3")
	if err != nil {
		return nil, err
	}
	return pgxpool.NewWithConfig(ctx, config)
}

// insert inserts a line, once. It returns its number, or 0 if it was not told.
func insert(ctx context.Context, pool *pgxpool.Pool, line string) int {
	ctx, cancel := context.WithTimeout(ctx, 500*time.Millisecond)
	defer cancel()
	n := 0
	if err := pool.QueryRow(ctx, "insert into log values ($1) returning n", line).Scan(&n); err != nil && !errors.Is(err, pgx.ErrNoRows) {
		return 0
	}
	return n
}
