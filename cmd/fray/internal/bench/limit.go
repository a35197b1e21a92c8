package bench

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"path/filepath"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/internal/number"
	"github.com/frayrpc/fray/internal/outgoing"
)

// httpCallers are the numbers of goroutines that http has.
var httpCallers = []int{1, 16}

// syncBytes is what fsync appends each time.
const syncBytes = 4096

func tcpTrips(ctx context.Context, m *meter) error {
	return m.trips(ctx, "tcp", 1, smallBytes)
}

func copies(ctx context.Context, m *meter) error {
	return m.trips(ctx, "copy", payloadCallers, m.PayloadBytes)
}

// trips notes what goroutines come to that each send messages of a size over a connection of their
// own, and read them back. The length is a part of a small message.
func (m *meter) trips(ctx context.Context, row string, callers, size int) error {
	if m.Peer == nil {
		m.leaveOut("there is no other process")
		return nil
	}
	connections, closeAll, err := dial(ctx, m.Peer.TCP, callers)
	defer closeAll()
	if err != nil {
		return fmt.Errorf("%s: %w", row, err)
	}
	// A call over them does not know ctx.
	unless := context.AfterFunc(ctx, closeAll)
	defer unless()
	d, err := m.drive(ctx, callers, func(caller int) func(context.Context) error {
		connection, sent, n := connections[caller], newMessage(size), uint64(0)
		got := make([]byte, len(sent))
		return func(context.Context) error {
			n++
			setNumber(sent.body(), n)
			if err := trip(connection, sent, got); err != nil {
				return fmt.Errorf("%s: %w", row, err)
			}
			return nil
		}
	})
	if err != nil {
		return err
	}
	s := sample{count: d.count, took: d.took, latency: d.timings}
	if m.workload.Unit == unitBytes {
		s.value = float64(d.count) * float64(size) / 1e6 / d.took.Seconds()
	}
	m.note(row, s)
	return nil
}

// dial makes some connections to an address, and returns what closes them, beside an error, too.
func dial(ctx context.Context, address string, n int) (connections []net.Conn, closeAll func(), err error) {
	for range n {
		var dialer net.Dialer
		connection, e := dialer.DialContext(ctx, "tcp", address)
		if e != nil {
			err = e
			break
		}
		connections = append(connections, connection)
	}
	return connections, func() {
		for _, c := range connections {
			_ = c.Close() // It may be closed.
		}
	}, err
}

func httpTrips(ctx context.Context, m *meter) error {
	if m.Peer == nil {
		m.leaveOut("there is no other process")
		return nil
	}
	transport := outgoing.NewTransport()
	defer transport.CloseIdleConnections()
	client := connect.NewClient[wrapperspb.BytesValue, wrapperspb.BytesValue](&http.Client{Transport: transport}, "http://"+m.Peer.HTTP+echoProcedure)
	for _, callers := range httpCallers {
		row := fmt.Sprintf("http/%d", callers)
		d, err := m.drive(ctx, callers, func(caller int) func(context.Context) error {
			in, n := input(smallBytes, 0), number.Clamp[uint64](caller)<<32
			return func(ctx context.Context) error {
				n++
				setNumber(in, n)
				res, err := client.CallUnary(ctx, connect.NewRequest(wrapperspb.Bytes(in)))
				if err == nil {
					err = same(in, res.Msg.GetValue())
				}
				if err != nil {
					return fmt.Errorf("%s: %w", row, err)
				}
				return nil
			}
		})
		if err != nil {
			return err
		}
		m.note(row, sample{count: d.count, took: d.took, latency: d.timings})
	}
	return nil
}

func syncs(ctx context.Context, m *meter) error {
	if m.SyncDir == "" {
		m.leaveOut("there is no data directory")
		return nil
	}
	path := filepath.Join(m.SyncDir, "fsync")
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("fsync: %w", err)
	}
	defer os.Remove(path) //nolint:errcheck // Its directory goes as a whole.
	defer file.Close()
	d, err := m.drive(ctx, 1, func(int) func(context.Context) error {
		block := input(syncBytes, 0)
		return func(context.Context) error {
			if _, err := file.Write(block); err != nil {
				return fmt.Errorf("fsync: %w", err)
			}
			if err := syncData(file); err != nil {
				return fmt.Errorf("fsync: %w", err)
			}
			return nil
		}
	})
	if err != nil {
		return err
	}
	m.note("fsync", sample{count: d.count, took: d.took, latency: d.timings})
	return nil
}
