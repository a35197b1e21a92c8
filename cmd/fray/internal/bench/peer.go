package bench

import (
	"bytes"
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"sync"
	"time"

	"connectrpc.com/connect"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/frayrpc/fray/internal/number"
)

// A Peer is another process that sends back what it gets: where limits are measured from here to
// there.
type Peer struct {
	// TCP and HTTP are where it listens.
	TCP  string `json:"tcp"`
	HTTP string `json:"http"`
}

const echoProcedure = "/fray.bench.v1.EchoService/Echo"

// A message is its length in four bytes, and then its body.
type message []byte

const messageHead = 4

// newMessage returns a message of so many bytes, its head included where it is small.
func newMessage(size int) message {
	body := size
	if size == smallBytes {
		body -= messageHead
	}
	m := make(message, messageHead+body)
	binary.BigEndian.PutUint32(m, number.Clamp[uint32](body))
	copy(m.body(), input(body, 0))
	return m
}

func (m message) body() []byte { return m[messageHead:] }

// trip sends a message and reads it back into got.
func trip(connection net.Conn, sent message, got []byte) error {
	if _, err := connection.Write(sent); err != nil {
		return err
	}
	if _, err := io.ReadFull(connection, got); err != nil {
		return err
	}
	if !bytes.Equal(sent, got) {
		return same(sent, got)
	}
	return nil
}

// ServePeer is a peer until ctx is done. It calls ready once it listens.
func ServePeer(ctx context.Context, ready func(Peer) error) error {
	var config net.ListenConfig
	tcp, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	defer tcp.Close()
	web, err := config.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	mux := http.NewServeMux()
	mux.Handle(echoProcedure, connect.NewUnaryHandler(echoProcedure,
		func(_ context.Context, req *connect.Request[wrapperspb.BytesValue]) (*connect.Response[wrapperspb.BytesValue], error) {
			return connect.NewResponse(req.Msg), nil
		}))
	server := &http.Server{Handler: mux, ReadHeaderTimeout: 10 * time.Second}
	var serving sync.WaitGroup
	var webErr, tcpErr error
	serving.Go(func() { webErr = server.Serve(web) })
	serving.Go(func() { tcpErr = sendBack(ctx, tcp) })
	err = ready(Peer{TCP: tcp.Addr().String(), HTTP: web.Addr().String()})
	if err == nil {
		<-ctx.Done()
	}
	err = errors.Join(err, server.Close(), tcp.Close())
	serving.Wait()
	if !errors.Is(webErr, http.ErrServerClosed) {
		err = errors.Join(err, webErr)
	}
	if !errors.Is(tcpErr, net.ErrClosed) {
		err = errors.Join(err, tcpErr)
	}
	return err
}

// sendBack serves connections until the listener is closed, and ends those that are left.
func sendBack(ctx context.Context, listener net.Listener) error {
	ctx, cancel := context.WithCancel(ctx)
	var serving sync.WaitGroup
	defer serving.Wait()
	defer cancel()
	for {
		connection, err := listener.Accept()
		if err != nil {
			return err
		}
		serving.Go(func() {
			defer connection.Close()
			defer context.AfterFunc(ctx, func() { _ = connection.Close() })()
			var m message
			for {
				var err error
				if m, err = readMessage(connection, m); err != nil {
					return // the other side has closed it
				}
				if _, err := connection.Write(m); err != nil {
					return
				}
			}
		})
	}
}

// readMessage reads a message into the room of another.
func readMessage(r io.Reader, room message) (message, error) {
	var head [messageHead]byte
	if _, err := io.ReadFull(r, head[:]); err != nil {
		return nil, err
	}
	n := binary.BigEndian.Uint32(head[:])
	if n > MaxPayload {
		return nil, fmt.Errorf("a message of %d bytes is larger than %d", n, MaxPayload)
	}
	size := messageHead + int(n)
	if cap(room) < size {
		room = make(message, size)
	}
	room = room[:size]
	copy(room, head[:])
	_, err := io.ReadFull(r, room.body())
	return room, err
}
