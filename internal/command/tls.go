package command

import (
	"crypto/tls"
	"log/slog"
	"net/http"
	"strings"

	"github.com/spf13/pflag"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/internal/outgoing"
)

// TLS is what the options of TLS say.
type TLS struct {
	certs.Files

	// Least is the least version; empty: the default.
	Least string
	// HTTP3 has calls go, or be served, by HTTP/3.
	HTTP3 bool
}

// Who a command is in TLS.
const (
	AsClient = 1 << iota
	AsServer
)

// HTTP3Option has calls go, or be served, by HTTP/3.
const HTTP3Option = "http3"

// AddTLSFlags declares the options of TLS for a command that calls, serves, or both.
func (p *Process) AddTLSFlags(flags *pflag.FlagSet, as int) {
	names := []string{"tls-cert", "tls-key", "tls-min-version"}
	to := "servers that ask for one"
	if as&AsServer != 0 {
		to = "whoever connects, over TLS"
	}
	flags.StringVar(&p.TLS.Cert, "tls-cert", "", "show the certificate in this PEM `file` to "+to+"; it is read again when it changes")
	flags.StringVar(&p.TLS.Key, "tls-key", "", "the PEM `file` with the private key of --tls-cert")
	if as&AsServer != 0 {
		flags.StringVar(&p.TLS.ClientCA, "tls-client-ca", "", "refuse who has no certificate by the authorities in this PEM `file`")
		names = append(names, "tls-client-ca")
	}
	if as&AsClient != 0 {
		flags.StringVar(&p.TLS.CA, "ca", "", "trust servers with certificates by the authorities in this PEM `file` (default: those of the machine)")
		names = append(names, "ca")
	}
	if p.DialHTTP3 != nil {
		usage := "serve HTTP/3, too, at the UDP port of the same number; needs --tls-cert"
		if as&AsClient != 0 {
			usage = "call the controller by HTTP/3, over QUIC, and by nothing else; it has to serve it, with --" + HTTP3Option
		}
		flags.BoolVar(&p.TLS.HTTP3, HTTP3Option, false, usage)
		names = append(names, HTTP3Option)
	}
	OneOf(flags, &p.TLS.Least, "tls-min-version", "", "1.3", "the least `version` of TLS", "1.3", "1.2")
	Shared(flags, names...)
}

// TLSFiles returns what the options of TLS say.
func (p *Process) TLSFiles() (certs.Files, error) {
	f := p.TLS.Files
	if p.TLS.Least == "1.2" {
		f.MinVersion = tls.VersionTLS12
	}
	if err := f.Validate(); err != nil {
		return f, UsageError("--tls-cert, --tls-key, --tls-client-ca: %w", err)
	}
	return f, nil
}

// Dialer is what makes connections to a controller by HTTP/3; nil: they go over TCP.
func (p *Process) Dialer() func(certs.Files, *slog.Logger) (http.RoundTripper, error) {
	if !p.TLS.HTTP3 {
		return nil
	}
	return p.DialHTTP3
}

// Connections returns connections of this process's own, to a controller or to a worker, and what
// closes them. Workers serve no HTTP/3.
func (p *Process) Connections(toWorker bool) (http.RoundTripper, func(), error) {
	secure, err := p.TLSFiles()
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if dial := p.Dialer(); dial != nil && !toWorker {
		transport, err := dial(secure, log)
		if err != nil {
			return nil, nil, UsageError("%w", err)
		}
		return transport, (&http.Client{Transport: transport}).CloseIdleConnections, nil
	}
	transport := outgoing.NewTransport()
	if err := secure.Secure(transport, log); err != nil {
		return nil, nil, UsageError("%w", err)
	}
	return transport, transport.CloseIdleConnections, nil
}

// checkScheme refuses options of TLS for a controller that is called without it: they would protect
// nothing.
func (p *Process) checkScheme(address string) error {
	if !strings.HasPrefix(address, "http://") {
		return nil
	}
	if p.TLS.HTTP3 {
		return UsageError("--%s is spoken over TLS only: call %s by https://", HTTP3Option, address)
	}
	for name, value := range map[string]string{"ca": p.TLS.CA, "tls-cert": p.TLS.Cert} {
		if value != "" && (name == "ca" || p.TLS.CA == "") {
			return UsageError("--%s protects no call to %s: call it by https://", name, address)
		}
	}
	return nil
}
