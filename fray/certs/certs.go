// Package certs is where TLS comes from: certificates and authorities in files, which are read again
// when they change, so that nobody restarts to renew them.
//
//	config, err := certs.Files{Cert: "tls.crt", Key: "tls.key", ClientCA: "clients.pem"}.Listen(logger)
package certs

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"github.com/frayrpc/fray/internal/reread"
)

// handshakeTimeout is how long a client waits for a handshake.
const handshakeTimeout = 10 * time.Second

// Files name what a process shows and whom it trusts. Each is PEM. The zero value is no TLS for a
// server, and the machine's authorities for a client.
type Files struct {
	// Cert and Key are the process's own certificate, with what leads to its authority, and its
	// private key: both or neither. A client shows them to servers that ask.
	Cert, Key string
	// ClientCA has the authorities whose certificates a server's callers must show. Empty: they need
	// none.
	ClientCA string
	// CA has the authorities that a client trusts. Empty: those of the machine.
	CA string
	// MinVersion is the least version of TLS. 0: 1.3.
	MinVersion uint16
}

// Validate says what a server or a client lacks.
func (f Files) Validate() error {
	switch {
	case (f.Cert == "") != (f.Key == ""):
		return errors.New("a certificate and its key belong together: give both or neither")
	case f.ClientCA != "" && f.Cert == "":
		return errors.New("callers can show certificates only to a server that has one itself: give the certificate and its key, too")
	}
	return nil
}

// Listen returns what a server listens with; nil, without TLS, if there is no certificate. It reads
// each file once before it returns. Whether and why a file could not be read again is logged; until it
// can, what was read before is used.
func (f Files) Listen(log *slog.Logger) (*tls.Config, error) {
	if err := f.Validate(); err != nil || f.Cert == "" {
		return nil, err
	}
	base := &tls.Config{MinVersion: f.minVersion(), NextProtos: []string{"h2", "http/1.1"}}
	s, err := reread.New(log, "certificates to listen with", func() (*tls.Config, error) {
		pair, err := f.pair()
		if err != nil {
			return nil, err
		}
		c := base.Clone()
		c.Certificates = []tls.Certificate{*pair}
		if f.ClientCA == "" {
			return c, nil
		}
		c.ClientAuth = tls.RequireAndVerifyClientCert
		c.ClientCAs, err = pool(f.ClientCA)
		return c, err
	}, f.Cert, f.Key, f.ClientCA)
	if err != nil {
		return nil, err
	}
	// One that was given without asking, for those who look at it.
	config := s.Get().Clone()
	config.GetConfigForClient = func(*tls.ClientHelloInfo) (*tls.Config, error) { return s.Get(), nil }
	return config, nil
}

// Secure has a transport open its connections to https URLs as the files say, see Dialer.
func (f Files) Secure(transport *http.Transport, log *slog.Logger) error {
	plain := transport.DialContext
	if plain == nil { // As net/http would.
		plain = (&net.Dialer{}).DialContext
	}
	dial, err := f.Dialer(log, plain)
	if err == nil {
		transport.DialTLSContext = dial
	}
	return err
}

// Dialer returns what a client opens connections to servers with, as http.Transport.DialTLSContext
// takes it. It reads each file once before it returns; a file that changes counts for the next
// connection, as long as it can be read.
func (f Files) Dialer(log *slog.Logger, dial func(ctx context.Context, network, address string) (net.Conn, error)) (func(ctx context.Context, network, address string) (net.Conn, error), error) {
	calls, err := f.Calls(log)
	if err != nil {
		return nil, err
	}
	return func(ctx context.Context, network, address string) (net.Conn, error) {
		plain, err := dial(ctx, network, address)
		if err != nil {
			return nil, err
		}
		conn := tls.Client(plain, calls(address))
		ctx, cancel := context.WithTimeout(ctx, handshakeTimeout)
		defer cancel()
		if err := conn.HandshakeContext(ctx); err != nil {
			return nil, errors.Join(Explained(err, address), plain.Close())
		}
		return conn, nil
	}, nil
}

// Calls returns what says how a client shakes hands with the server at an address (host:port), for
// those who do not dial with Dialer. It reads each file once before it returns; what it returns may
// be called by several goroutines, and its result is the caller's. A file that changes counts for
// the next call, as long as it can be read.
func (f Files) Calls(log *slog.Logger) (func(address string) *tls.Config, error) {
	if err := f.Validate(); err != nil {
		return nil, err
	}
	c, err := reread.New(log, "certificates to call with", func() (*tls.Config, error) {
		config := &tls.Config{MinVersion: f.minVersion()}
		var err error
		if f.CA != "" {
			if config.RootCAs, err = pool(f.CA); err != nil {
				return nil, err
			}
		}
		if f.Cert != "" {
			pair, err := f.pair()
			if err != nil {
				return nil, err
			}
			config.Certificates = []tls.Certificate{*pair}
		}
		return config, nil
	}, f.Cert, f.Key, f.CA)
	if err != nil {
		return nil, err
	}
	return func(address string) *tls.Config {
		config := c.Get().Clone()
		var err error
		if config.ServerName, _, err = net.SplitHostPort(address); err != nil {
			config.ServerName = address
		}
		return config
	}, nil
}

// Explained adds to an error of a client's handshake with address what to do about it.
func Explained(err error, address string) error {
	var unknown x509.UnknownAuthorityError
	var wrongName x509.HostnameError
	switch {
	case errors.As(err, &unknown):
		return fmt.Errorf("%w: name the authority that has signed for %s", err, address)
	case errors.As(err, &wrongName):
		return fmt.Errorf("%w: call it by a name that its certificate has", err)
	}
	return err
}

func (f Files) minVersion() uint16 {
	if f.MinVersion == 0 {
		return tls.VersionTLS13
	}
	return f.MinVersion
}

func (f Files) pair() (*tls.Certificate, error) {
	cert, err := reread.File(f.Cert)
	if err != nil {
		return nil, fmt.Errorf("read certificate: %w", err)
	}
	key, err := reread.File(f.Key)
	if err != nil {
		return nil, fmt.Errorf("read key: %w", err)
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return nil, fmt.Errorf("certificate %s with key %s: %w", f.Cert, f.Key, err)
	}
	return &pair, nil
}

func pool(path string) (*x509.CertPool, error) {
	pem, err := reread.File(path)
	if err != nil {
		return nil, fmt.Errorf("read authorities: %w", err)
	}
	pool := x509.NewCertPool()
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("read authorities: %s has no certificate in PEM", path)
	}
	return pool, nil
}
