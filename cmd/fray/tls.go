package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"time"

	"github.com/spf13/cobra"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/internal/command"
)

// clientOptions are those of a client of package fray that calls as the options say.
func (a *app) clientOptions() ([]fray.Option, error) {
	secure, err := a.TLSFiles()
	options := append(a.seamOptions(), fray.WithTLS(secure))
	if a.Seams.HTTPClient == nil {
		options = append(options, fray.WithHTTP3(a.Dialer()))
	}
	return options, err
}

const (
	// ownCertificates is how long the certificates of a cluster that makes its own are good.
	ownCertificates = 30 * 24 * time.Hour
	ownAuthority    = "ca.pem"
)

// tlsArgs are the options that have another command of this program speak TLS in the same way, of
// which onlyArgs holds it to them.
func (a *app) tlsArgs() (args []string) {
	if a.TLS.HTTP3 {
		args = append(args, "--"+command.HTTP3Option)
	}
	for _, o := range []struct{ name, value string }{
		{"ca", a.TLS.CA}, {"tls-cert", a.TLS.Cert}, {"tls-key", a.TLS.Key}, {"tls-client-ca", a.TLS.ClientCA}, {"tls-min-version", a.TLS.Least},
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
	for _, name := range []string{"ca", "tls-cert", "tls-key", "tls-client-ca", "tls-min-version", command.HTTP3Option} {
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
	a.TLS.CA, a.TLS.Cert, a.TLS.Key = filepath.Join(dir, ownAuthority), filepath.Join(dir, "tls.crt"), filepath.Join(dir, "tls.key")
	for path, data := range map[string][]byte{a.TLS.CA: authority.PEM, a.TLS.Cert: cert, a.TLS.Key: key} {
		err = errors.Join(err, os.WriteFile(path, data, 0o600))
	}
	if err != nil {
		return nil, errors.Join(err, remove())
	}
	return remove, nil
}
