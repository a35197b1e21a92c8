package pgstore

import (
	"context"
	"errors"

	"github.com/jackc/pgx/v5"

	"github.com/frayrpc/fray/fray/store/lead"
)

const seatColumns = "epoch, commits, beats, vacant, holder, address"

func scanSeat(row pgx.Row) (seat lead.Seat, err error) {
	var epoch, commits, beats int64
	err = row.Scan(&epoch, &commits, &beats, &seat.Vacant, &seat.Holder.ID, &seat.Holder.Address)
	seat.Epoch, seat.Commits, seat.Beats = uint64(epoch), uint64(commits), uint64(beats) //nolint:gosec // They count up from 0.
	return seat, err
}

// Look implements lead.Database.
func (d *Database) Look(ctx context.Context) (seat lead.Seat, err error) {
	err = d.do(ctx, func(conn *pgx.Conn) (err error) {
		seat, err = scanSeat(conn.QueryRow(ctx, "SELECT "+seatColumns+" FROM fray_seat"))
		return err
	})
	return seat, err
}

// Settle implements lead.Database. Its change has the server sync, and its standby, if it is a
// synchronous one, and with it all commits before.
func (d *Database) Settle(ctx context.Context) (seat lead.Seat, err error) {
	err = d.do(ctx, func(conn *pgx.Conn) (err error) {
		seat, err = scanSeat(conn.QueryRow(ctx, "UPDATE fray_seat SET beats = beats + 1 RETURNING "+seatColumns))
		return err
	})
	return seat, err
}

// change makes a change of the seat that names what it must be, and is not made otherwise.
func (d *Database) change(ctx context.Context, sql string, args ...any) error {
	return d.do(ctx, func(conn *pgx.Conn) error {
		tag, err := conn.Exec(ctx, sql, args...)
		if err == nil && tag.RowsAffected() == 0 {
			err = lead.ErrReplaced
		}
		return err
	})
}

// Take implements lead.Database.
func (d *Database) Take(ctx context.Context, seen lead.Seat, h lead.Holder) error {
	return d.change(ctx, `UPDATE fray_seat SET epoch = epoch + 1, vacant = false, holder = $1, address = $2
		WHERE epoch = $3 AND commits = $4 AND beats = $5 AND vacant = $6`,
		h.ID, h.Address, num(seen.Epoch), num(seen.Commits), num(seen.Beats), seen.Vacant)
}

// Raise implements lead.Raiser.
func (d *Database) Raise(ctx context.Context, seen lead.Seat, epoch uint64) error {
	return d.change(ctx, `UPDATE fray_seat SET epoch = $1
		WHERE epoch < $1 AND epoch = $2 AND commits = $3 AND beats = $4 AND vacant = $5`,
		num(epoch), num(seen.Epoch), num(seen.Commits), num(seen.Beats), seen.Vacant)
}

// Beat implements lead.Database.
func (d *Database) Beat(ctx context.Context, epoch uint64) error {
	return d.change(ctx, "UPDATE fray_seat SET beats = beats + 1 WHERE epoch = $1 AND NOT vacant", num(epoch))
}

// channel is where it is told that a seat was left. Clusters in other schemas of the database share it.
const channel = "fray_seat"

// Leave implements lead.Database.
func (d *Database) Leave(ctx context.Context, epoch uint64) error {
	return d.change(ctx, "UPDATE fray_seat SET vacant = true WHERE epoch = $1 RETURNING pg_notify('"+channel+"', '')", num(epoch))
}

// Await implements lead.Database.
func (d *Database) Await(ctx context.Context) error {
	var conn *pgx.Conn
	select {
	case conn = <-d.listening:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	conn, err := d.listen(ctx, conn)
	if err == nil {
		_, err = conn.WaitForNotification(ctx)
	}
	if ctx.Err() != nil {
		err = nil
	}
	if conn != nil && conn.IsClosed() {
		conn = nil
	}
	d.listening <- conn
	return explain(err)
}

// listen returns a connection that listens: conn, if it does.
func (d *Database) listen(ctx context.Context, conn *pgx.Conn) (*pgx.Conn, error) {
	if conn != nil {
		return conn, nil
	}
	conn, err := pgx.ConnectConfig(ctx, d.pool.Config().ConnConfig)
	if err != nil {
		return nil, err
	}
	if _, err := conn.Exec(ctx, "LISTEN "+channel); err != nil {
		hangUp(conn)
		return nil, errors.Join(err, ctx.Err())
	}
	return conn, nil
}
