package h3

import (
	"context"
	"errors"
	"net/http"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
)

// visit is one connection that is served. It ends when the caller closes it, when the server leaves,
// or after a refusal that says so (Connection: close).
type visit struct {
	server *server
	conn   *quic.Conn
	// Ends the visit: its requests are answered, and no other is taken.
	leave context.CancelFunc
}

func newVisit(s *server, conn *quic.Conn) *visit { return &visit{server: s, conn: conn} }

// run serves until the connection is closed. Once leaving is done it takes no more requests, and
// once cut is done it waits for none. When it returns all handlers have.
func (v *visit) run(leaving, cut context.Context) {
	leaving, v.leave = context.WithCancel(leaving)
	defer v.leave()
	defer v.server.admission.shrink(v.conn)
	door := &v.server.door
	settings := http3.Server{Handler: v, MaxHeaderBytes: door.MaxHeaderBytes, IdleTimeout: door.IdleTimeout, Logger: door.Logger}
	raw, err := settings.NewRawServerConn(v.conn)
	if err != nil { // It is closed already.
		return
	}
	var streams, requests sync.WaitGroup
	defer streams.Wait()
	streams.Go(func() {
		for {
			stream, err := v.conn.AcceptUniStream(context.Background())
			if err != nil {
				return
			}
			streams.Go(func() { raw.HandleUnidirectionalStream(stream) })
		}
	})
	for {
		stream, err := v.conn.AcceptStream(leaving)
		if err != nil {
			break
		}
		_ = stream.SetReadDeadline(time.Now().Add(door.HeaderTimeout))
		requests.Go(func() { raw.HandleRequestStream(stream) })
	}
	streams.Go(v.refuse)
	answered := make(chan struct{})
	go func() { // Until all requests have ended, which closing the connection makes them do.
		defer close(answered)
		requests.Wait()
		v.lastWords(cut)
	}()
	select {
	case <-answered:
	case <-cut.Done():
	case <-v.conn.Context().Done():
	}
	_ = raw.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	<-answered
}

// refuse refuses requests until the connection is closed. Their caller may make them elsewhere: none
// has been looked at.
func (v *visit) refuse() {
	for {
		stream, err := v.conn.AcceptStream(context.Background())
		if err != nil {
			return
		}
		stream.CancelRead(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
		stream.CancelWrite(quic.StreamErrorCode(http3.ErrCodeRequestRejected))
	}
}

// lastWords waits until nothing has come or gone for a while, so that what was sent last should have
// been received: what is still on its way goes with the connection. Over TCP the kernel would see to
// it.
func (v *visit) lastWords(cut context.Context) {
	until := time.Now().Add(maxLastWords)
	for before, now := (quic.ConnectionStats{}), v.conn.ConnectionStats(); time.Now().Before(until); before, now = now, v.conn.ConnectionStats() {
		if now.BytesSent == before.BytesSent && now.BytesReceived == before.BytesReceived {
			return
		}
		timer := time.NewTimer(lastWords + 2*now.SmoothedRTT)
		select {
		case <-timer.C:
			continue
		case <-cut.Done():
		case <-v.conn.Context().Done():
		}
		timer.Stop()
		return
	}
}

// ServeHTTP implements http.Handler, behind the door's.
func (v *visit) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	control := http.NewResponseController(w)
	_ = control.SetReadDeadline(time.Time{}) // That of the head.
	a := &reply{ResponseWriter: w, control: control}
	v.server.door.Handler.ServeHTTP(a, r)
	a.begin()
	// What is left to send once the handler has returned, at most a few KiB.
	_ = control.SetWriteDeadline(time.Now().Add(v.server.door.AnswerTimeout))
	if a.closes {
		v.leave()
	}
	if a.failed { // Or else http3 might end the answer as if it were whole.
		panic(http.ErrAbortHandler)
	}
}

// reply is an answer whose handler may ask for the end of the connection as one does in HTTP/1.1,
// with a header that HTTP/3 does not know.
type reply struct {
	http.ResponseWriter

	control *http.ResponseController
	begun   bool
	closes  bool
	failed  bool // to be written
}

// Unwrap is for http.ResponseController.
func (a *reply) Unwrap() http.ResponseWriter { return a.ResponseWriter }

func (a *reply) begin() {
	if a.begun {
		return
	}
	a.begun = true
	a.closes = a.Header().Get("Connection") == "close"
	a.Header().Del("Connection")
}

// WriteHeader implements http.ResponseWriter.
func (a *reply) WriteHeader(status int) {
	if status >= http.StatusOK {
		a.begin()
	}
	a.ResponseWriter.WriteHeader(status)
}

// Write implements http.ResponseWriter.
func (a *reply) Write(p []byte) (int, error) {
	a.begin()
	n, err := a.ResponseWriter.Write(p)
	a.failed = a.failed || err != nil && !errors.Is(err, http.ErrBodyNotAllowed)
	return n, err
}

// Flush implements http.Flusher.
func (a *reply) Flush() { _ = a.FlushError() }

// FlushError is for http.ResponseController.
func (a *reply) FlushError() error {
	a.begin()
	err := a.control.Flush()
	a.failed = a.failed || err != nil
	return err
}
