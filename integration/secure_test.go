package integration_test

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/certs"
)

// mtls has the whole suite speak TLS, with certificates on either side.
var mtls = flag.Bool("mtls", false, "have all processes and clients speak TLS, and show certificates")

// http3 has clients and workers of the suite call by HTTP/3, which needs what mtls does.
var http3 = flag.Bool("http3", false, "as -mtls; have clients and workers call controllers by HTTP/3")

// secure is what they speak it with. Without the flag it is empty.
var secure struct {
	dir    string
	files  certs.Files
	config *tls.Config // of clients
}

// makeSecure makes certificates, and callers with roles, if they are asked for.
func makeSecure() (err error) {
	if secure.dir, err = os.MkdirTemp("", "fray-suite-"); err != nil {
		return err
	}
	if *roles {
		if err := makeRoles(); err != nil {
			return err
		}
	}
	*mtls = *mtls || *http3
	if !*mtls {
		return nil
	}
	secure.files, secure.config, err = makeCertificates(secure.dir)
	return err
}

// makeCertificates makes an authority and a certificate that all processes and clients show.
func makeCertificates(dir string) (files certs.Files, config *tls.Config, err error) {
	authority, err := certs.NewAuthority("suite", 24*time.Hour)
	if err != nil {
		return files, nil, err
	}
	cert, key, err := authority.Issue("suite", "127.0.0.1", "localhost")
	if err != nil {
		return files, nil, err
	}
	path := func(name string, data []byte) string {
		file := filepath.Join(dir, name)
		err = errors.Join(err, os.WriteFile(file, data, 0o600))
		return file
	}
	ca := path("ca.pem", authority.PEM)
	files = certs.Files{Cert: path("tls.crt", cert), Key: path("tls.key", key), ClientCA: ca, CA: ca}
	if err != nil {
		return files, nil, err
	}
	pair, err := tls.X509KeyPair(cert, key)
	if err != nil {
		return files, nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(authority.PEM) {
		return files, nil, fmt.Errorf("the authority's certificate cannot be read")
	}
	return files, &tls.Config{MinVersion: tls.VersionTLS13, RootCAs: roots, Certificates: []tls.Certificate{pair}}, nil
}

// secured adds what has a process speak TLS, and ask and show who calls, to its arguments.
func secured(server bool, args ...string) []string {
	if *roles {
		args = append(slices.Clip(args), "--access-file", accessFile())
		if !server {
			args = append(args, "--token-file", tokenFile(access.Worker))
		}
	}
	if !*mtls {
		return args
	}
	args = append(slices.Clip(args), tlsArgs(secure.files, server)...)
	if *http3 {
		args = append(args, "--http3")
	}
	return args
}

// tlsArgs have a process speak TLS, and ask and show who calls.
func tlsArgs(f certs.Files, server bool) []string {
	args := []string{"--tls-cert", f.Cert, "--tls-key", f.Key, "--tls-client-ca", f.ClientCA}
	if !server {
		args = append(args, "--ca", f.CA)
	}
	return args
}

// host returns the host and port of a URL.
func host(url string) string {
	_, address, _ := strings.Cut(url, "://")
	return address
}

// scheme returns what URLs of the suite's servers begin with.
func scheme() string {
	if *mtls {
		return "https://"
	}
	return "http://"
}
