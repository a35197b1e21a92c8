package h3_test

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"connectrpc.com/connect"
	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"
	"go.uber.org/goleak"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/h3"
	"github.com/frayrpc/fray/fray/internal/serve"
	frayv1 "github.com/frayrpc/fray/gen/fray/v1"
	"github.com/frayrpc/fray/gen/fray/v1/frayv1connect"
	"github.com/frayrpc/fray/internal/outgoing"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience bounds every wait of a test for something to come true.
const patience = 30 * time.Second

// files makes an authority, and a certificate by it that both ends show.
func files(t *testing.T) certs.Files {
	t.Helper()
	authority, err := certs.NewAuthority("test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	return issued(t, authority, "test")
}

// issued writes a certificate of an authority for a name.
func issued(t *testing.T, authority *certs.Authority, name string) certs.Files {
	t.Helper()
	cert, key, err := authority.Issue(name, "127.0.0.1")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	path := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, data, 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	return certs.Files{Cert: path("crt", cert), Key: path("key", key), CA: path("ca", authority.PEM)}
}

// door returns a door at a free port, or at that of addr, for a handler.
func door(t *testing.T, f certs.Files, handler http.HandlerFunc) serve.Door {
	t.Helper()
	secure, err := f.Listen(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	return serve.Door{
		Addr: freePort(t), TLS: secure, Handler: handler, MaxConnections: 100,
		HeaderTimeout: patience, IdleTimeout: patience, AnswerTimeout: patience, MaxHeaderBytes: 64 << 10,
		Logger: slog.New(slog.DiscardHandler),
	}
}

func freePort(t *testing.T) *net.TCPAddr {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	addr := conn.LocalAddr().(*net.UDPAddr)
	return &net.TCPAddr{IP: addr.IP, Port: addr.Port}
}

// open serves through a door until the test ends, or stop is called.
func open(t *testing.T, d serve.Door) (server serve.Beside, url string, stop func()) {
	t.Helper()
	server, err := h3.Serve(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, patience) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	})
	t.Cleanup(stop)
	return server, "https://" + d.Addr.String(), stop
}

// client returns a client that dials by h3.Dial, whose connections are closed with the test.
func client(t *testing.T, f certs.Files) *http.Client {
	t.Helper()
	transport, err := h3.Dial(f, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	c := &http.Client{Transport: transport}
	t.Cleanup(c.CloseIdleConnections)
	return c
}

// get returns the body of an answer.
func get(ctx context.Context, c *http.Client, url string) (string, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return "", err
	}
	res, err := c.Do(req)
	if err != nil {
		return "", err
	}
	body, err := io.ReadAll(res.Body)
	return string(body), errors.Join(err, res.Body.Close())
}

// eventually waits until something is true.
func eventually(t *testing.T, what string, is func() bool) {
	t.Helper()
	for deadline := time.Now().Add(patience); !is(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("it is never so that %s", what)
		}
	}
}

// dialQUIC opens a connection below HTTP/3.
func dialQUIC(t *testing.T, f certs.Files, address string, config *quic.Config) (*quic.Conn, error) {
	t.Helper()
	conn, err := quic.DialAddr(t.Context(), address, callConfig(t, f), config)
	if err == nil {
		t.Cleanup(func() { _ = conn.CloseWithError(0, "") })
	}
	return conn, err
}

func callConfig(t *testing.T, f certs.Files) *tls.Config {
	t.Helper()
	pem, err := os.ReadFile(f.CA)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(pem)
	return &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, ServerName: "127.0.0.1", NextProtos: []string{http3.NextProtoH3}}
}

// service is a WorkerService that says over what it is called, and by whom.
type service struct {
	frayv1connect.UnimplementedWorkerServiceHandler
}

type seenKey struct{}

func (service) HealthCheck(ctx context.Context, _ *frayv1.HealthCheckRequest) (*frayv1.HealthCheckResponse, error) {
	return &frayv1.HealthCheckResponse{WorkerId: ctx.Value(seenKey{}).(string)}, nil
}

// A server answers by HTTP/3 as it does by the others, at the UDP port of the same number; what it
// knows of a caller is the same, and over TCP it says that there is HTTP/3.
func TestServerAnswersByHTTP3(t *testing.T) {
	t.Parallel()
	f := files(t)
	f.ClientCA = f.CA
	secure, err := f.Listen(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	server, err := serve.New(serve.Config{
		Address: "127.0.0.1:0", TLS: secure, HTTP3: h3.Serve,
		Services: []serve.Service{{Name: frayv1connect.WorkerServiceName, New: func(opts ...connect.HandlerOption) (string, http.Handler) {
			return frayv1connect.NewWorkerServiceHandler(service{}, opts...)
		}}},
		Middleware: []func(http.Handler) http.Handler{func(next http.Handler) http.Handler {
			return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				seen := fmt.Sprintf("%s by %s", r.Proto, r.TLS.VerifiedChains[0][0].Subject.CommonName)
				next.ServeHTTP(w, r.WithContext(context.WithValue(r.Context(), seenKey{}, seen)))
			})
		}},
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := server.Listen(t.Context()); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx) }()
	defer func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("the server ended with %v", err)
		}
	}()
	overUDP := client(t, f)
	for name, options := range map[string][]connect.ClientOption{
		"Connect": nil, "JSON": {connect.WithProtoJSON()}, "gRPC": {connect.WithGRPC()}, "gRPC-Web": {connect.WithGRPCWeb()},
		"gzip": {connect.WithSendGzip()},
	} {
		res, err := frayv1connect.NewWorkerServiceClient(overUDP, server.URL(), options...).HealthCheck(t.Context(), &frayv1.HealthCheckRequest{})
		if err != nil || res.GetWorkerId() != "HTTP/3.0 by test" {
			t.Errorf("%s: %q, %v", name, res.GetWorkerId(), err)
		}
	}
	transport := outgoing.NewTransport()
	if err := f.Secure(transport, slog.New(slog.DiscardHandler)); err != nil {
		t.Fatal(err)
	}
	defer transport.CloseIdleConnections()
	for c, want := range map[*http.Client]string{{Transport: transport}: `h3=":` + port(server.URL()) + `"; ma=3600`, overUDP: ""} {
		res, err := c.Get(server.URL() + "/healthz")
		if err != nil {
			t.Fatal(err)
		}
		if got := res.Header.Get("Alt-Svc"); got != want || res.Body.Close() != nil {
			t.Errorf("over %s: Alt-Svc is %q, want %q", res.Proto, got, want)
		}
	}
	// A page of another site is kept out, whatever it comes by.
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, server.URL()+"/healthz", nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Origin", "https://elsewhere.example")
	if res, err := overUDP.Do(req); err != nil || res.StatusCode != http.StatusForbidden || res.Body.Close() != nil {
		t.Errorf("a page of another site: %v, %v", res, err)
	}
}

func port(url string) string { return url[strings.LastIndex(url, ":")+1:] }

func TestHTTP3NeedsTLS(t *testing.T) {
	t.Parallel()
	_, err := serve.New(serve.Config{Services: make([]serve.Service, 1), HTTP3: h3.Serve})
	if err == nil || !strings.Contains(err.Error(), "over TLS only") {
		t.Errorf("without TLS: %v", err)
	}
}

// Whose certificate nobody asked for has signed gets no connection, and learns why.
func TestWhoIsLetInByHTTP3(t *testing.T) {
	t.Parallel()
	ours := files(t)
	ours.ClientCA = ours.CA
	_, url, _ := open(t, door(t, ours, func(http.ResponseWriter, *http.Request) {}))
	other := files(t)
	for name, tt := range map[string]struct {
		files certs.Files
		want  string
	}{
		"a caller with a certificate":      {files: ours},
		"a caller without":                 {files: certs.Files{CA: ours.CA}, want: "certificate required"},
		"a caller with one of another":     {files: certs.Files{CA: ours.CA, Cert: other.Cert, Key: other.Key}, want: "unknown certificate authority"},
		"a caller that trusts another one": {files: other, want: "name the authority that has signed for"},
	} {
		_, err := get(t.Context(), client(t, tt.files), url)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", name, err, tt.want)
		}
	}
}

// A certificate that is renewed counts for the next connection.
func TestCertificateIsRenewed(t *testing.T) {
	t.Parallel()
	authority, err := certs.NewAuthority("test", time.Hour)
	if err != nil {
		t.Fatal(err)
	}
	old := issued(t, authority, "old")
	_, url, _ := open(t, door(t, old, func(http.ResponseWriter, *http.Request) {}))
	called := func() string {
		c := client(t, old)
		defer c.CloseIdleConnections()
		res, err := c.Get(url)
		if err != nil {
			t.Fatal(err)
		}
		defer res.Body.Close()
		return res.TLS.PeerCertificates[0].Subject.CommonName
	}
	if got := called(); got != "old" {
		t.Fatalf("called %s", got)
	}
	renewed := issued(t, authority, "renewed")
	for from, to := range map[string]string{renewed.Cert: old.Cert, renewed.Key: old.Key} {
		if err := os.Rename(from, to); err != nil {
			t.Fatal(err)
		}
	}
	eventually(t, "the renewed certificate is shown", func() bool { return called() == "renewed" })
}

// A caller learns of a restart by the first answer to what it sends, and not by silence.
// Silence it may be where the machine takes longer to restart than a caller waits; not time and again.
func TestRestartEndsCallsThatWait(t *testing.T) {
	t.Parallel()
	const tries = 3
	for n := range tries {
		err := restartUnderACall(t)
		var reset *quic.StatelessResetError
		var silence *quic.IdleTimeoutError
		switch {
		case errors.As(err, &reset):
			return
		case !errors.As(err, &silence) || n == tries-1:
			t.Fatalf("the call that waited failed with %v, want a stateless reset", err)
		}
	}
}

// restartUnderACall returns what a call fails with that waits while its server dies and another takes
// its place.
func restartUnderACall(t *testing.T) error {
	t.Helper()
	f := files(t)
	waiting := make(chan struct{}, 1)
	d := door(t, f, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/wait" {
			waiting <- struct{}{}
			<-r.Context().Done()
		}
	})
	server, err := h3.Serve(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	first := make(chan error, 1)
	running, cut := context.WithCancel(context.Background())
	defer cut()
	go func() { first <- server.Run(running, time.Nanosecond) }()
	c := client(t, f)
	failed := make(chan error, 1)
	go func() {
		_, err := get(t.Context(), c, "https://"+d.Addr.String()+"/wait")
		failed <- err
	}()
	<-waiting
	if err := h3.Die(server); err != nil {
		t.Fatal(err)
	}
	<-first
	_, url, _ := open(t, d)
	end := <-failed
	if _, err := get(t.Context(), c, url); err != nil {
		t.Errorf("after the restart: %v", err)
	}
	return end
}

// A server that leaves answers what it has been asked, and takes nothing else.
func TestLeavingServerAnswersWhatItWasAsked(t *testing.T) {
	t.Parallel()
	f := files(t)
	asked, answer := make(chan struct{}), make(chan struct{})
	d := door(t, f, func(w http.ResponseWriter, _ *http.Request) {
		close(asked)
		<-answer
		_, _ = io.WriteString(w, strings.Repeat("answered", 10_000))
	})
	server, err := h3.Serve(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, patience) }()
	c, url := client(t, f), "https://"+d.Addr.String()
	got := make(chan string, 1)
	go func() {
		body, err := get(t.Context(), c, url)
		got <- fmt.Sprint(len(body), err)
	}()
	<-asked
	leave()
	brief, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if _, err := get(brief, c, url); err == nil {
		t.Error("a leaving server took another request")
	}
	close(answer)
	if body := <-got; body != "80000<nil>" && body != "80000 <nil>" {
		t.Errorf("it answered what it was asked with %s", body)
	}
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// A server that leaves cuts off what outlasts its grace.
func TestLeavingServerCutsOffWhatOutlastsItsGrace(t *testing.T) {
	t.Parallel()
	f := files(t)
	asked := make(chan struct{})
	d := door(t, f, func(_ http.ResponseWriter, r *http.Request) {
		close(asked)
		<-r.Context().Done()
	})
	server, err := h3.Serve(t.Context(), d)
	if err != nil {
		t.Fatal(err)
	}
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	ended := make(chan error, 1)
	go func() { ended <- server.Run(ctx, 10*time.Millisecond) }()
	failed := make(chan error, 1)
	c := client(t, f)
	go func() {
		_, err := get(t.Context(), c, "https://"+d.Addr.String())
		failed <- err
	}()
	<-asked
	leave()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if err := <-failed; err == nil {
		t.Error("the call that was cut off has an answer")
	}
}

// A caller that is refused with "Connection: close" gets its answer, without a header that HTTP/3
// does not have, and loses its connection, as over TCP.
func TestRefusedCallerLosesItsConnectionOfHTTP3(t *testing.T) {
	t.Parallel()
	f := files(t)
	_, url, _ := open(t, door(t, f, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/refuse" {
			w.Header().Set("Connection", "close")
			w.WriteHeader(http.StatusUnauthorized)
		}
		_, _ = io.WriteString(w, r.RemoteAddr)
	}))
	c := client(t, f)
	addresses := map[string]bool{}
	for range 3 {
		var res *http.Response
		eventually(t, "the refusal comes", func() bool { // A call that goes out just as its connection is closed is lost.
			var err error
			res, err = c.Get(url + "/refuse")
			return err == nil
		})
		address, err := io.ReadAll(res.Body)
		if err != nil || res.Header.Get("Connection") != "" || res.StatusCode != http.StatusUnauthorized || res.Body.Close() != nil {
			t.Fatalf("refused with %v, %v", res, err)
		}
		addresses[string(address)] = true
	}
	if len(addresses) != 3 {
		t.Errorf("three refusals came over %d connections", len(addresses))
	}
	c = client(t, f)
	first, err := get(t.Context(), c, url)
	if err != nil {
		t.Fatal(err)
	}
	if second, err := get(t.Context(), c, url); err != nil || first != second {
		t.Errorf("answers that are no refusals came over %s and %s, %v", first, second, err)
	}
}

// CloseIdleConnections leaves a call alone that is under way, up to the end of its answer, and closes
// its connection then. A client can be used again.
func TestClosingIdleConnectionsSparesAnswersThatAreRead(t *testing.T) {
	t.Parallel()
	f := files(t)
	more := make(chan struct{})
	server, url, _ := open(t, door(t, f, func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "first ")
		w.(http.Flusher).Flush()
		<-more
		_, _ = io.WriteString(w, "second")
	}))
	c := client(t, f)
	res, err := c.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	c.CloseIdleConnections()
	close(more)
	body, err := io.ReadAll(res.Body)
	if err := errors.Join(err, res.Body.Close()); err != nil || string(body) != "first second" {
		t.Errorf("the answer is %q, %v", body, err)
	}
	eventually(t, "the connection is closed", func() bool { n, _ := h3.Standing(server); return n == 0 })
	if _, err := get(t.Context(), c, url); err != nil {
		t.Error(err)
	}
}

// A request that was seen could be sent again as 0-RTT data, so there is none, even for callers that
// ask for it.
func TestNothingIsTakenBeforeTheHandshake(t *testing.T) {
	t.Parallel()
	f := files(t)
	d := door(t, f, func(http.ResponseWriter, *http.Request) {})
	open(t, d)
	config := callConfig(t, f)
	put := make(chan struct{}, 16)
	config.ClientSessionCache = &sessions{ClientSessionCache: tls.NewLRUClientSessionCache(1), put: put}
	for resumed := range 2 {
		conn, err := quic.DialAddrEarly(t.Context(), d.Addr.String(), config, nil)
		if err != nil {
			t.Fatal(err)
		}
		<-conn.HandshakeComplete()
		if state := conn.ConnectionState(); state.Used0RTT || state.TLS.DidResume != (resumed == 1) {
			t.Errorf("connection %d: 0-RTT %t, resumed %t", resumed, state.Used0RTT, state.TLS.DidResume)
		}
		<-put
		_ = conn.CloseWithError(0, "")
	}
}

// sessions tells when there is a session to resume.
type sessions struct {
	tls.ClientSessionCache

	put chan struct{}
}

func (s *sessions) Put(key string, state *tls.ClientSessionState) {
	s.ClientSessionCache.Put(key, state)
	if state != nil {
		s.put <- struct{}{}
	}
}

// An answer whose first bytes could not be written in time looked whole to its caller, and empty.
func TestAnswerThatCouldNotBeWrittenIsNotEmpty(t *testing.T) {
	t.Parallel()
	f := files(t)
	_, url, _ := open(t, door(t, f, func(w http.ResponseWriter, _ *http.Request) {
		control := http.NewResponseController(w)
		_ = control.SetWriteDeadline(time.Unix(1, 0))
		if _, err := w.Write(make([]byte, 64<<10)); err == nil {
			t.Error("written after the deadline")
		}
	}))
	if body, err := get(t.Context(), client(t, f), url); err == nil {
		t.Errorf("the answer has %d bytes", len(body))
	}
}
