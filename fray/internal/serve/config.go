package serve

import (
	"crypto/tls"
	"log/slog"
	"net"
	"net/http"
	"time"

	"connectrpc.com/connect"
	"connectrpc.com/grpchealth"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/access"
)

// Defaults of a Config.
const (
	DefaultShutdownGrace = 5 * time.Second
	// DefaultRequestBytes is room for any request that lists or carries nothing.
	DefaultRequestBytes = 64 << 10
)

// Config says what a Server serves, and where.
type Config struct {
	// Address is where to listen, such as "127.0.0.1:7070". Port 0 picks a free one. Unused with
	// Listener.
	Address string
	// Listener is where to listen in place of Address. Run closes it.
	Listener net.Listener
	// TLS has the server speak it, and nothing else; HTTP/2 is agreed upon as usual (ALPN). Nil: it
	// speaks without, and HTTP/2 to those who begin with it.
	TLS *tls.Config
	// HTTP3 serves HTTP/3 beside, at the UDP port of the same number, and has answers over TCP
	// announce it (Alt-Svc). It needs TLS. Nil: it is not served.
	HTTP3 HTTP3
	// Services are mounted in this order.
	Services []Service
	// Checker answers gRPC health checks until the server shuts down, and NOT_SERVING after that.
	// Nil: every service is SERVING.
	Checker grpchealth.Checker
	// HandlerOptions come after the server's own, so that their interceptors see validated
	// requests.
	HandlerOptions []connect.HandlerOption
	// Middleware wraps everything, the first outermost.
	Middleware []func(http.Handler) http.Handler
	// RequestBytes bounds a request message, as it is when nothing compresses it, by its procedure.
	// What it does not name has DefaultRequestBytes.
	RequestBytes map[string]int
	// InFlightBytes bounds the messages that are read, handled and answered at a time, in bytes, each
	// of which counts twice: as it is sent, and decoded. A share of it bounds single requests, too. 0:
	// a quarter of the memory that the Go runtime may use (GOMEMLIMIT), and DefaultInFlightBytes at
	// most.
	InFlightBytes int64
	// Lanes say who shares room with whom, by procedure. What they do not name is Clients'.
	Lanes map[string]Lane
	// MaxConnections bounds the connections that are open at once; others wait in the backlog of
	// the listener until one is closed. 0: DefaultMaxConnections. Those of HTTP/3 are counted apart.
	MaxConnections int
	// ShutdownGrace is how long requests may take to end once the server shuts down. 0:
	// DefaultShutdownGrace.
	ShutdownGrace time.Duration
	// Registerer takes the metrics of the calls; servers in one program may share it. Nil: there
	// are none.
	Registerer prometheus.Registerer
	// Gatherer is what /metrics shows. Nil: there is no /metrics.
	Gatherer prometheus.Gatherer
	// MetricsAddress is where /metrics is, for who has no credential and without TLS, rather than
	// where all else is; the probes are at both. An address without a host is one of this machine.
	// Empty: nowhere else.
	MetricsAddress string
	// Page is what people see who go to the server with a browser. It is for everybody, and calls the
	// services as its reader. Nil: there is none.
	Page http.Handler
	// Names are those by which browsers may call the server, besides addresses and localhost. Without
	// TLS and without Access a page that took one for the server's could call it otherwise.
	Names []string
	// Access says with each call who may make it. Nil: all may do everything.
	Access func() *access.Policy
	// Audit is told of calls that Access refuses. Nil: nobody is.
	Audit *slog.Logger
	// Logger is told of bugs: panics, and errors that are no *connect.Error. Nil: nobody is.
	Logger *slog.Logger
}

// Service is one Connect service.
type Service struct {
	// Name is the service's full name, such as "fray.v1.WorkerService".
	Name string
	// New makes the handler and says where to mount it, as generated constructors do. What checks
	// requests is its own affair: see Validated.
	New func(...connect.HandlerOption) (path string, handler http.Handler)
}
