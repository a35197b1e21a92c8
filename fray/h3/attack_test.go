package h3_test

import (
	"context"
	"io"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/quic-go/quic-go"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/h3"
)

// mute is a caller's socket that sends, and receives nothing: the address that it sends from is
// somebody else's, who does not ask for what comes.
type mute struct {
	*net.UDPConn

	sent, received atomic.Int64 // bytes
}

func newMute(t *testing.T) *mute {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	m := &mute{UDPConn: conn}
	t.Cleanup(func() { _ = conn.Close() })
	return m
}

// plain has quic-go send by WriteTo and receive by ReadFrom.
type plain struct{ net.PacketConn }

func (m *mute) WriteTo(p []byte, to net.Addr) (int, error) {
	m.sent.Add(int64(len(p)))
	return m.UDPConn.WriteTo(p, to)
}

func (m *mute) ReadFrom(p []byte) (int, net.Addr, error) {
	for {
		n, from, err := m.UDPConn.ReadFrom(p)
		if err != nil {
			return 0, from, err
		}
		m.received.Add(int64(n))
	}
}

// flood begins so many handshakes from one socket, whose answers nobody sees, and gives them up when
// ctx is done.
func flood(ctx context.Context, t *testing.T, f certs.Files, to *net.TCPAddr, handshakes int) (m *mute, wait func()) {
	t.Helper()
	m = newMute(t)
	transport := &quic.Transport{Conn: plain{m}}
	var all sync.WaitGroup
	for range handshakes {
		all.Go(func() {
			_, _ = transport.Dial(ctx, &net.UDPAddr{IP: to.IP, Port: to.Port}, callConfig(t, f), nil)
		})
	}
	return m, func() {
		all.Wait()
		_ = transport.Close()
	}
}

// First packets from addresses that may be forged cost the server a bounded number of handshakes, and
// him whose address it is at most three times what was sent in his name; who is there gets in.
func TestFirstPacketsWithoutAHandshake(t *testing.T) {
	t.Parallel()
	f := files(t)
	d := door(t, f, func(http.ResponseWriter, *http.Request) {})
	d.MaxConnections, d.HeaderTimeout = 1000, 6*time.Second
	server, url, _ := open(t, d)
	ctx, over := context.WithCancel(t.Context())
	defer over()
	m, wait := flood(ctx, t, f, d.Addr, 4*h3.TrustedHandshakes)
	unfinished := func() int { _, n := h3.Standing(server); return n }
	eventually(t, "there are as many unfinished handshakes as are trusted", func() bool { return unfinished() >= h3.TrustedHandshakes })
	for range 5 {
		c := client(t, f)
		eventually(t, "a caller that is there gets in", func() bool { _, err := get(ctx, c, url); return err == nil })
		c.CloseIdleConnections()
		if n := unfinished(); n > h3.TrustedHandshakes {
			t.Errorf("%d handshakes are unfinished at a time, want %d at most", n, h3.TrustedHandshakes)
		}
	}
	over()
	wait()
	if sent, received := m.sent.Load(), m.received.Load(); received > 3*sent || received == 0 {
		t.Errorf("for %d bytes in its name an address was sent %d", sent, received)
	}
	eventually(t, "no handshake is left", func() bool { n, _ := h3.Standing(server); return n == 0 })
}

// Handshakes that their callers do not go on with take a part of the connections at most, and are
// given up after a while; open connections go on meanwhile.
func TestHandshakesThatStall(t *testing.T) {
	t.Parallel()
	f := files(t)
	d := door(t, f, func(http.ResponseWriter, *http.Request) {})
	d.MaxConnections, d.HeaderTimeout = 8, 6*time.Second
	server, url, _ := open(t, d)
	c := client(t, f)
	if _, err := get(t.Context(), c, url); err != nil {
		t.Fatal(err)
	}
	ctx, over := context.WithCancel(t.Context())
	defer over()
	_, wait := flood(ctx, t, f, d.Addr, 2*d.MaxConnections)
	eventually(t, "handshakes are unfinished", func() bool { _, n := h3.Standing(server); return n > 0 })
	if n, handshaking := h3.Standing(server); handshaking > d.MaxConnections/2 || n-handshaking != 1 {
		t.Errorf("of %d connections %d have unfinished handshakes", n, handshaking)
	}
	if _, err := get(t.Context(), c, url); err != nil {
		t.Errorf("a caller that was there before: %v", err)
	}
	eventually(t, "the handshakes are given up", func() bool { _, n := h3.Standing(server); return n == 0 })
	over()
	wait()
}

// Connections past the bound are refused, at once and by name; the others go on, and one that ends
// makes room.
func TestMoreConnectionsThanTheBound(t *testing.T) {
	t.Parallel()
	f := files(t)
	d := door(t, f, func(http.ResponseWriter, *http.Request) {})
	d.MaxConnections = 3
	server, url, _ := open(t, d)
	var clients []*http.Client
	for range d.MaxConnections {
		c := client(t, f)
		if _, err := get(t.Context(), c, url); err != nil {
			t.Fatal(err)
		}
		clients = append(clients, c)
	}
	_, err := dialQUIC(t, f, d.Addr.String(), nil)
	if refused, ok := err.(*quic.TransportError); !ok || refused.ErrorCode != quic.ConnectionRefused { //nolint:errorlint // It is not wrapped.
		t.Errorf("one more connection: %v", err)
	}
	for _, c := range clients {
		if _, err := get(t.Context(), c, url); err != nil {
			t.Errorf("one of those that are there: %v", err)
		}
	}
	clients[0].CloseIdleConnections()
	eventually(t, "there is room", func() bool { n, _ := h3.Standing(server); return n < d.MaxConnections })
	if _, err := get(t.Context(), client(t, f), url); err != nil {
		t.Errorf("after one has ended: %v", err)
	}
}

// A request whose head does not come is let go, and so is the room that its stream took.
func TestHeadsThatDoNotCome(t *testing.T) {
	t.Parallel()
	f := files(t)
	d := door(t, f, func(http.ResponseWriter, *http.Request) { t.Error("there was a request") })
	d.HeaderTimeout = 3 * time.Second
	open(t, d)
	conn, err := dialQUIC(t, f, d.Addr.String(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for range 2 * h3.MaxStreams { // More than there may be at a time, so that some must have been let go.
		stream, err := conn.OpenStreamSync(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := stream.Write([]byte{1}); err != nil { // HEADERS, and no length.
			t.Fatal(err)
		}
		go func() { // Until the server lets the stream go, or the connection ends.
			_, _ = io.Copy(io.Discard, stream)
			_ = stream.Close()
		}()
	}
}

// An answer that nobody reads ends with its deadline, and what is left of it once its handler has
// returned with another.
func TestAnswersThatNobodyReads(t *testing.T) {
	t.Parallel()
	f := files(t)
	written := make(chan error, 2)
	d := door(t, f, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/small" {
			_, _ = io.WriteString(w, "small")
			return
		}
		_ = http.NewResponseController(w).SetWriteDeadline(time.Now().Add(50 * time.Millisecond)) // As serve does.
		_, err := w.Write(make([]byte, 4<<20))
		written <- err
	})
	d.AnswerTimeout = 50 * time.Millisecond
	server, url, _ := open(t, d)
	c := client(t, f)
	res, err := c.Get(url)
	if err := <-written; err == nil {
		t.Error("an answer was written that nobody reads")
	}
	if err == nil { // Or it was cut off before its head had come.
		if _, err := io.Copy(io.Discard, res.Body); err == nil {
			t.Error("an answer that was cut off is whole")
		}
		_ = res.Body.Close()
	}
	eventually(t, "the same connection carries small answers", func() bool { _, err := get(t.Context(), c, url+"/small"); return err == nil })
	c.CloseIdleConnections()
	eventually(t, "nothing is left", func() bool { n, _ := h3.Standing(server); return n == 0 })
}

// A sender gets no further ahead of its reader than a window, and windows grow within a bound that all
// connections share, and give back what they have grown by.
func TestSendersAheadOfTheirReader(t *testing.T) {
	t.Parallel()
	f := files(t)
	read := make(chan struct{})
	d := door(t, f, func(_ http.ResponseWriter, r *http.Request) {
		<-read
		_, _ = io.Copy(io.Discard, r.Body)
	})
	server, url, _ := open(t, d)
	c := client(t, f)
	const length = 32 << 20
	body := &counted{left: length}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, url, body)
	if err != nil {
		t.Fatal(err)
	}
	req.ContentLength = length
	ended := make(chan error, 1)
	go func() {
		res, err := c.Do(req)
		if err == nil {
			err = res.Body.Close()
		}
		ended <- err
	}()
	// What http3 copies at a time comes on top.
	const ahead = h3.FirstStreamWindow + 64<<10
	eventually(t, "the window is used", func() bool { return body.taken.Load() >= h3.FirstStreamWindow/2 })
	if n := body.taken.Load(); n > ahead {
		t.Errorf("%d bytes were sent ahead of their reader", n)
	}
	close(read)
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if growth, limit := h3.Growth(server); growth == 0 || growth > limit {
		t.Errorf("windows have grown by %d of %d bytes", growth, limit)
	}
	c.CloseIdleConnections()
	eventually(t, "what windows have grown by is given back", func() bool { n, _ := h3.Growth(server); return n == 0 })
}

// counted is a body that tells how much of it was taken.
type counted struct {
	left  int
	taken atomic.Int64
}

func (b *counted) Read(p []byte) (int, error) {
	if b.left == 0 {
		return 0, io.EOF
	}
	n := min(len(p), b.left)
	b.left -= n
	b.taken.Add(int64(n))
	return n, nil
}
