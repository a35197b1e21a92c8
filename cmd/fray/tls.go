package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/fray/h3"
	"github.com/frayrpc/fray/internal/outgoing"
)

// Who a command is in TLS.
const (
	asClient = 1 << iota
	asServer
)

// addTLSFlags declares the options of TLS for a command that calls, serves, or both.
func (a *app) addTLSFlags(cmd *cobra.Command, as int) {
	flags := cmd.Flags()
	names := []string{"tls-cert", "tls-key", "tls-min-version", http3Option}
	to := "servers that ask for one"
	if as&asServer != 0 {
		to = "whoever connects, over TLS"
	}
	flags.StringVar(&a.tls.Cert, "tls-cert", "", "show the certificate in this PEM `file` to "+to+"; it is read again when it changes")
	flags.StringVar(&a.tls.Key, "tls-key", "", "the PEM `file` with the private key of --tls-cert")
	if as&asServer != 0 {
		flags.StringVar(&a.tls.ClientCA, "tls-client-ca", "", "refuse who has no certificate by the authorities in this PEM `file`")
		names = append(names, "tls-client-ca")
	}
	if as&asClient != 0 {
		flags.BoolVar(&a.http3, http3Option, false, "call the controller by HTTP/3, over QUIC, and by nothing else; it has to serve it, with --"+http3Option)
		flags.StringVar(&a.tls.CA, "ca", "", "trust servers with certificates by the authorities in this PEM `file` (default: those of the machine)")
		names = append(names, "ca")
	} else {
		flags.BoolVar(&a.http3, http3Option, false, "serve HTTP/3, too, at the UDP port of the same number; needs --tls-cert")
	}
	oneOf(cmd, &a.tlsMin, "tls-min-version", "", "1.3", "the least `version` of TLS", "1.3", "1.2")
	shared(cmd, names...)
}

const http3Option = "http3"

// tlsFiles returns what the options of TLS say.
func (a *app) tlsFiles() (certs.Files, error) {
	f := a.tls
	if a.tlsMin == "1.2" {
		f.MinVersion = tls.VersionTLS12
	}
	if err := f.Validate(); err != nil {
		return f, usageError("--tls-cert, --tls-key, --tls-client-ca: %w", err)
	}
	return f, nil
}

// dialer is what makes connections to a controller by HTTP/3; nil: they go over TCP.
func (a *app) dialer() func(certs.Files, *slog.Logger) (http.RoundTripper, error) {
	if !a.http3 {
		return nil
	}
	return h3.Dial
}

// clientOptions are those of a client of package fray that calls as the options say.
func (a *app) clientOptions() ([]fray.Option, error) {
	secure, err := a.tlsFiles()
	options := append(a.seams.options(), fray.WithTLS(secure))
	if a.seams.httpClient == nil {
		options = append(options, fray.WithHTTP3(a.dialer()))
	}
	return options, err
}

// connections returns connections of this process's own, to a controller or to a worker, and what
// closes them. Workers serve no HTTP/3.
func (a *app) connections(toWorker bool) (http.RoundTripper, func(), error) {
	secure, err := a.tlsFiles()
	if err != nil {
		return nil, nil, err
	}
	log := slog.New(slog.DiscardHandler)
	if dial := a.dialer(); dial != nil && !toWorker {
		transport, err := dial(secure, log)
		if err != nil {
			return nil, nil, usageError("%w", err)
		}
		return transport, (&http.Client{Transport: transport}).CloseIdleConnections, nil
	}
	transport := outgoing.NewTransport()
	if err := secure.Secure(transport, log); err != nil {
		return nil, nil, usageError("%w", err)
	}
	return transport, transport.CloseIdleConnections, nil
}

// checkScheme refuses options of TLS for a controller that is called without it: they would protect
// nothing.
func (a *app) checkScheme(address string) error {
	if !strings.HasPrefix(address, "http://") {
		return nil
	}
	if a.http3 {
		return usageError("--%s is spoken over TLS only: call %s by https://", http3Option, address)
	}
	for name, value := range map[string]string{"ca": a.tls.CA, "tls-cert": a.tls.Cert} {
		if value != "" && (name == "ca" || a.tls.CA == "") {
			return usageError("--%s protects no call to %s: call it by https://", name, address)
		}
	}
	return nil
}

const (
	// ownCertificates is how long the certificates of a cluster that makes its own are good.
	ownCertificates = 30 * 24 * time.Hour
	ownAuthority    = "ca.pem"
)

// tlsArgs are the options that have another command of this program speak TLS in the same way, of
// which onlyArgs holds it to them.
func (a *app) tlsArgs() (args []string) {
	if a.http3 {
		args = append(args, "--"+http3Option)
	}
	for _, o := range []struct{ name, value string }{
		{"ca", a.tls.CA}, {"tls-cert", a.tls.Cert}, {"tls-key", a.tls.Key}, {"tls-client-ca", a.tls.ClientCA}, {"tls-min-version", a.tlsMin},
	} {
		if o.value != "" {
			args = append(args, "--"+o.name, o.value)
		}
	}
	return args
}

// onlyArgs has a command that another one has started, and holds by its lifeline, be told how to speak
// TLS by its arguments alone: what the environment and a configuration file say is about clusters of
// others.
func onlyArgs(cmd *cobra.Command) {
	if held := cmd.Flags().Lookup(lifelineOption); held == nil || !held.Changed {
		return
	}
	for _, name := range []string{"ca", "tls-cert", "tls-key", "tls-client-ca", "tls-min-version", http3Option} {
		if flag := cmd.Flags().Lookup(name); flag != nil {
			flag.Changed = true
		}
	}
}

// secureOwnTLS makes an authority and a certificate for a cluster on this machine, in a directory of
// their own that remove takes away.
func (a *app) secureOwnTLS(listen string) (remove func() error, err error) {
	hosts := []string{"localhost", "127.0.0.1", "::1"}
	if host, _, err := net.SplitHostPort(listen); err == nil && host != "" {
		hosts = append(hosts, host)
	}
	if name, err := os.Hostname(); err == nil {
		hosts = append(hosts, name)
	}
	authority, err := certs.NewAuthority("fray dev", ownCertificates)
	if err != nil {
		return nil, err
	}
	cert, key, err := authority.Issue("fray dev", hosts...)
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "fray-dev-tls-")
	if err != nil {
		return nil, fmt.Errorf("make a directory for certificates: %w", err)
	}
	remove = func() error { return os.RemoveAll(dir) }
	a.tls.CA, a.tls.Cert, a.tls.Key = filepath.Join(dir, ownAuthority), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, data := range map[string][]byte{a.tls.CA: authority.PEM, a.tls.Cert: cert, a.tls.Key: key} {
		err = errors.Join(err, os.WriteFile(path, data, 0o600))
	}
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	return remove, nil
}
