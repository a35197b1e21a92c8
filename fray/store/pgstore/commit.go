package pgstore

import (
	"context"
	"errors"
	"fmt"

	"github.com/jackc/pgx/v5"

	"github.com/frayrpc/fray/fray/store"
	"github.com/frayrpc/fray/fray/store/lead"
	"github.com/frayrpc/fray/internal/number"
)

// rows are what a batch sets in one table, by column, and what it deletes.
type rows struct {
	nums   []int64
	part   []int32
	parts  []int32
	values [][]byte
	gone   []int64
}

// Commit implements lead.Database.
func (d *Database) Commit(ctx context.Context, epoch, commit uint64, b *store.Batch) error {
	byKind, err := sorted(b.Ops())
	if err != nil {
		return err
	}
	batch := &pgx.Batch{}
	for kind, r := range byKind {
		if r == nil {
			continue
		}
		table := tables[kind]
		if len(r.gone) > 0 {
			batch.Queue("DELETE FROM "+table+" WHERE num = ANY($1)", r.gone)
		}
		if len(r.nums) > 0 {
			batch.Queue("INSERT INTO "+table+` (num, part, parts, value)
				SELECT * FROM unnest($1::bigint[], $2::int[], $3::int[], $4::bytea[])
				ON CONFLICT (num, part) DO UPDATE SET parts = excluded.parts, value = excluded.value`,
				r.nums, r.part, r.parts, r.values)
		}
	}
	batch.Queue("SELECT fray_fence($1, $2, $3)", num(epoch), num(commit), b.Lazy)
	return d.do(ctx, func(conn *pgx.Conn) error { return conn.SendBatch(ctx, batch).Close() })
}

// sorted returns what a batch does to each table: of several changes of a record, the last.
func sorted(ops []store.Op) (byKind [len(tables)]*rows, err error) {
	last := make(map[store.Key]int, len(ops))
	size := 0
	for i, op := range ops {
		if _, err := tableOf(op.Key.Kind); err != nil {
			return byKind, err
		}
		last[op.Key] = i
		size += len(op.Value)
	}
	if size > MaxBatchBytes {
		return byKind, fmt.Errorf("%w: its values have %d bytes; at most %d are allowed", lead.ErrRefused, size, MaxBatchBytes)
	}
	for i, op := range ops {
		if last[op.Key] != i {
			continue
		}
		r := byKind[op.Key.Kind]
		if r == nil {
			r = &rows{}
			byKind[op.Key.Kind] = r
		}
		if op.Delete {
			r.gone = append(r.gone, num(op.Key.Num))
		} else {
			r.set(op.Key.Num, op.Value)
		}
	}
	return byKind, nil
}

// set adds the rows of a value.
func (r *rows) set(n uint64, value []byte) {
	parts := number.Clamp[int32](max(1, (len(value)+PartBytes-1)/PartBytes)) // MaxBatchBytes has no more.
	for part := range parts {
		bytes := value[:min(len(value), PartBytes)]
		value = value[len(bytes):]
		if bytes == nil {
			bytes = []byte{} // nil would be NULL
		}
		r.nums = append(r.nums, num(n))
		r.part = append(r.part, part)
		r.parts = append(r.parts, parts)
		r.values = append(r.values, bytes)
	}
}

// tables are those of each kind.
var tables = [...]string{
	store.Spec: "fray_spec", store.Result: "fray_result", store.State: "fray_state", store.Job: "fray_job",
	store.Controller: "fray_controller", store.Object: "fray_object", store.Piece: "fray_piece", store.Checkpoint: "fray_checkpoint",
}

var errKind = errors.New("there is no such kind of record")

func tableOf(kind store.RecordKind) (string, error) {
	if int(kind) >= len(tables) || tables[kind] == "" {
		return "", fmt.Errorf("%w: kind %d: %w", lead.ErrRefused, kind, errKind)
	}
	return tables[kind], nil
}
