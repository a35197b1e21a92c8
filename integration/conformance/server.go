package main

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
	"time"

	conformancev1 "github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1"
)

const (
	readHeaderTimeout = 5 * time.Second
	shutdownTimeout   = 2 * time.Second // the runner kills after 5
)

// runServer serves as the runner asks, until ctx ends.
func runServer(ctx context.Context, a *adapters, in io.Reader, out io.Writer) error {
	var req conformancev1.ServerCompatRequest
	if err := read(in, &req); err != nil {
		return fmt.Errorf("read what to serve: %w", err)
	}
	server := &http.Server{
		Handler:           newHandler(a, req.GetMessageReceiveLimit()),
		ReadHeaderTimeout: readHeaderTimeout,
		ErrorLog:          slog.NewLogLogger(slog.DiscardHandler, slog.LevelError),
		Protocols:         protocols(req.GetHttpVersion(), req.GetUseTls()),
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	address, ok := listener.Addr().(*net.TCPAddr)
	if !ok {
		return fmt.Errorf("listener has an address of type %T", listener.Addr())
	}
	port := uint32(address.Port) //nolint:gosec // It has 16 bits.
	res := &conformancev1.ServerCompatResponse{Host: address.IP.String(), Port: port}
	if req.GetUseTls() {
		if server.TLSConfig, err = serverTLS(&req); err != nil {
			return err
		}
		res.PemCert = req.GetServerCreds().GetCert()
		listener = tls.NewListener(listener, server.TLSConfig)
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(listener) }()
	if err := write(out, res); err != nil {
		return fmt.Errorf("write where it serves: %w", err)
	}
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	ending, cancel := context.WithTimeout(context.WithoutCancel(ctx), shutdownTimeout)
	defer cancel()
	if server.Shutdown(ending) != nil {
		_ = server.Close()
	}
	return nil
}

// protocols returns the one version of HTTP that is asked for.
func protocols(version conformancev1.HTTPVersion, secure bool) *http.Protocols {
	var p http.Protocols
	switch {
	case version == conformancev1.HTTPVersion_HTTP_VERSION_1:
		p.SetHTTP1(true)
	case secure:
		p.SetHTTP2(true)
	default:
		p.SetUnencryptedHTTP2(true)
	}
	return &p
}

func serverTLS(req *conformancev1.ServerCompatRequest) (*tls.Config, error) {
	certificate, err := tls.X509KeyPair(req.GetServerCreds().GetCert(), req.GetServerCreds().GetKey())
	if err != nil {
		return nil, fmt.Errorf("read the server's certificate: %w", err)
	}
	config := &tls.Config{MinVersion: tls.VersionTLS12, Certificates: []tls.Certificate{certificate}, NextProtos: []string{"http/1.1"}}
	if req.GetHttpVersion() == conformancev1.HTTPVersion_HTTP_VERSION_2 {
		config.NextProtos = []string{"h2"}
	}
	if len(req.GetClientTlsCert()) > 0 {
		config.ClientAuth = tls.RequireAndVerifyClientCert
		config.ClientCAs, err = pool(req.GetClientTlsCert())
	}
	return config, err
}

func pool(certificate []byte) (*x509.CertPool, error) {
	certificates := x509.NewCertPool()
	if !certificates.AppendCertsFromPEM(certificate) {
		return nil, errors.New("read certificate: it is not PEM")
	}
	return certificates, nil
}
