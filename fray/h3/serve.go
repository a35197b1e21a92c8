package h3

import (
	"context"
	"crypto/hkdf"
	"crypto/sha256"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"sync"
	"time"

	"github.com/quic-go/quic-go"
	"github.com/quic-go/quic-go/http3"

	"github.com/frayrpc/fray/fray/internal/serve"
)

// Serve opens the UDP port that HTTP/3 is served on, for controller.Config.HTTP3. It counts its
// connections apart from those of TCP: as many at most as there may be of these, 8192, and one for
// each MiB of GOMEMLIMIT. Past that they are refused.
func Serve(_ context.Context, door serve.Door) (serve.Beside, error) {
	socket, err := net.ListenUDP("udp", &net.UDPAddr{IP: door.Addr.IP, Port: door.Addr.Port, Zone: door.Addr.Zone})
	if err != nil {
		return nil, err
	}
	s := &server{door: door, socket: socket}
	s.admission = newAdmission(door.MaxConnections, s.tellRefused)
	key, err := resetKey(door)
	if err != nil {
		return nil, errors.Join(err, socket.Close())
	}
	s.quic = &quic.Transport{
		Conn: socket, ConnectionIDLength: connectionIDLength, StatelessResetKey: key,
		VerifySourceAddress: s.admission.suspicious, ConnContext: s.admission.admit,
	}
	// Not ListenEarly, which hands out connections before the caller's certificate was checked.
	s.listener, err = s.quic.Listen(http3.ConfigureTLSConfig(door.TLS), &quic.Config{
		HandshakeIdleTimeout: door.HeaderTimeout / 2, // All of a handshake may take twice as long.
		MaxIdleTimeout:       idleServer,
		MaxIncomingStreams:   maxStreams, MaxIncomingUniStreams: maxControlStreams,
		InitialStreamReceiveWindow: firstStreamWindow, MaxStreamReceiveWindow: mostStreamWindow,
		InitialConnectionReceiveWindow: firstWindow, MaxConnectionReceiveWindow: mostWindow,
		AllowConnectionWindowIncrease: s.admission.grow,
	})
	if err != nil {
		return nil, errors.Join(err, s.quic.Close(), socket.Close())
	}
	return s, nil
}

// server is a serve.Beside.
type server struct {
	door      serve.Door
	socket    *net.UDPConn
	quic      *quic.Transport
	listener  *quic.Listener
	admission *admission

	mu          sync.Mutex
	toldRefused time.Time
}

// resetKey returns what stateless resets are made with. It is the same after a restart, so that
// callers learn of it by the first answer to what they send, and that of nobody who cannot read the
// certificate's private key.
func resetKey(door serve.Door) (*quic.StatelessResetKey, error) {
	if len(door.TLS.Certificates) == 0 {
		return nil, errors.New("there is no certificate")
	}
	private, err := x509.MarshalPKCS8PrivateKey(door.TLS.Certificates[0].PrivateKey)
	if err != nil {
		return nil, fmt.Errorf("derive the key of resets: %w", err)
	}
	key := new(quic.StatelessResetKey)
	// With the address, so that no other server with this certificate can be had to end its connections.
	derived, err := hkdf.Key(sha256.New, private, nil, "fray: QUIC stateless reset at "+door.Addr.String(), len(key))
	if err != nil {
		return nil, fmt.Errorf("derive the key of resets: %w", err)
	}
	copy(key[:], derived)
	return key, nil
}

// refusalPause is how often the log is told at most that connections are refused.
const refusalPause = time.Minute

func (s *server) tellRefused() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if now := time.Now(); now.Sub(s.toldRefused) >= refusalPause || s.toldRefused.IsZero() {
		s.toldRefused = now
		s.door.Logger.Warn("connections over QUIC are refused: there are as many as there may be", "most", s.admission.most)
	}
}

// Close implements io.Closer.
func (s *server) Close() error {
	// The socket last: a transport that is closed before its listener sends nothing more.
	return errors.Join(s.listener.Close(), s.quic.Close(), s.socket.Close())
}

// Run implements serve.Beside.
func (s *server) Run(ctx context.Context, grace time.Duration) error {
	cut, cutOff := context.WithCancel(context.WithoutCancel(ctx))
	defer cutOff()
	var visits sync.WaitGroup
	var failed error
	for {
		conn, err := s.listener.Accept(ctx)
		if ctx.Err() != nil {
			if err == nil {
				visits.Go(func() { newVisit(s, conn).run(ctx, cut) })
			}
			break
		}
		if err != nil {
			failed = fmt.Errorf("serve HTTP/3 on UDP %v: %w", s.door.Addr, err)
			cutOff()
			break
		}
		if c, ok := conn.Context().Value(admissionKey{}).(*admitted); ok {
			c.shaken()
		}
		visits.Go(func() { newVisit(s, conn).run(ctx, cut) })
	}
	late := time.AfterFunc(grace, cutOff)
	defer late.Stop()
	failed = errors.Join(failed, s.listener.Close())
	for { // Those that nobody has seen yet.
		conn, err := s.listener.Accept(cut)
		if err != nil {
			break
		}
		_ = conn.CloseWithError(quic.ApplicationErrorCode(http3.ErrCodeNoError), "")
	}
	visits.Wait()
	return errors.Join(failed, s.quic.Close(), s.socket.Close())
}
