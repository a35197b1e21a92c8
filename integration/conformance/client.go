package main

import (
	"cmp"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strconv"
	"strings"
	"sync"

	"connectrpc.com/connect"

	conformancev1 "github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1"
	"github.com/frayrpc/fray/integration/conformance/gen/connectrpc/conformance/v1/conformancev1connect"
)

const clientHost = "client"

// A caller makes one call and returns what came of it. An error is one of its own.
type caller func(context.Context, *conformancev1.ClientCompatRequest) (*conformancev1.ClientResponseResult, error)

// callsPerProcessor is how many calls of a client are under way for each processor: most of them
// wait.
const callsPerProcessor = 4

// runClient makes the calls that the runner asks for, until there are no more. What came of them it
// writes to results too.
func runClient(ctx context.Context, call caller, in io.Reader, out, results io.Writer) error {
	var (
		mu       sync.Mutex
		writeErr error
		calls    sync.WaitGroup
		slots    = make(chan struct{}, callsPerProcessor*runtime.GOMAXPROCS(0))
	)
	for {
		var req conformancev1.ClientCompatRequest
		if err := read(in, &req); err != nil {
			calls.Wait()
			if errors.Is(err, io.EOF) {
				err = writeErr
			}
			return err
		}
		slots <- struct{}{}
		calls.Go(func() {
			defer func() { <-slots }()
			res := &conformancev1.ClientCompatResponse{TestName: req.GetTestName()}
			if result, err := call(ctx, &req); err != nil {
				res.Result = &conformancev1.ClientCompatResponse_Error{Error: &conformancev1.ClientErrorResult{Message: err.Error()}}
			} else {
				res.Result = &conformancev1.ClientCompatResponse_Response{Response: result}
			}
			mu.Lock()
			defer mu.Unlock()
			writeErr = cmp.Or(writeErr, write(out, res), record(results, res))
		})
	}
}

// A network calls servers over TCP.
type network struct {
	adapters *adapters

	mu         sync.Mutex
	transports map[string]http.RoundTripper // by all that they differ in
}

func newNetwork(a *adapters) *network {
	return &network{adapters: a, transports: map[string]http.RoundTripper{}}
}

func (n *network) call(ctx context.Context, req *conformancev1.ClientCompatRequest) (*conformancev1.ClientResponseResult, error) {
	transport, err := n.transport(req)
	if err != nil {
		return nil, err
	}
	scheme := "http"
	if len(req.GetServerTlsCert()) > 0 {
		scheme = "https"
	}
	url := scheme + "://" + net.JoinHostPort(req.GetHost(), strconv.Itoa(int(req.GetPort())))
	return call(ctx, req, transport, url, n.adapters)
}

// transport returns one for calls like this. Those with the same needs share it, and so its
// connections.
func (n *network) transport(req *conformancev1.ClientCompatRequest) (http.RoundTripper, error) {
	first := req.GetHttpVersion() == conformancev1.HTTPVersion_HTTP_VERSION_1
	// A call that is cancelled may take a connection of HTTP/1.1 with it that another has just got.
	alone := first && (req.GetCancel() != nil || req.TimeoutMs != nil)
	key := fmt.Sprint(req.GetHttpVersion(), alone, string(req.GetServerTlsCert()), string(req.GetClientTlsCreds().GetCert()))
	n.mu.Lock()
	defer n.mu.Unlock()
	if transport := n.transports[key]; transport != nil {
		return transport, nil
	}
	base := &http.Transport{
		DisableCompression: true, DisableKeepAlives: alone,
		Protocols: protocols(req.GetHttpVersion(), len(req.GetServerTlsCert()) > 0),
	}
	if len(req.GetServerTlsCert()) > 0 {
		roots, err := pool(req.GetServerTlsCert())
		if err != nil {
			return nil, err
		}
		base.TLSClientConfig = &tls.Config{MinVersion: tls.VersionTLS12, RootCAs: roots}
		if own := req.GetClientTlsCreds(); own != nil {
			certificate, err := tls.X509KeyPair(own.GetCert(), own.GetKey())
			if err != nil {
				return nil, fmt.Errorf("read the client's certificate: %w", err)
			}
			base.TLSClientConfig.Certificates = []tls.Certificate{certificate}
		}
	}
	var transport http.RoundTripper = base
	if first {
		transport = half{base}
	}
	n.transports[key] = n.adapters.transport(transport, clientHost)
	return n.transports[key], nil
}

// half has connect-go take answers of HTTP/1.1 for streams in both directions, which it refuses
// but which can be had if one side speaks after the other.
type half struct{ http.RoundTripper }

func (h half) RoundTrip(req *http.Request) (*http.Response, error) {
	res, err := h.RoundTripper.RoundTrip(req)
	if err == nil && strings.HasSuffix(req.URL.Path, conformancev1connect.ConformanceServiceBidiStreamProcedure) {
		res.ProtoMajor, res.ProtoMinor = 2, 0
	}
	return res, err
}

// options returns what has connect-go speak as the runner asks.
func options(req *conformancev1.ClientCompatRequest) ([]connect.ClientOption, error) {
	opts := []connect.ClientOption{connect.WithReadMaxBytes(int(req.GetMessageReceiveLimit()))}
	switch req.GetProtocol() {
	case conformancev1.Protocol_PROTOCOL_CONNECT:
	case conformancev1.Protocol_PROTOCOL_GRPC:
		opts = append(opts, connect.WithGRPC())
	case conformancev1.Protocol_PROTOCOL_GRPC_WEB:
		opts = append(opts, connect.WithGRPCWeb())
	default:
		return nil, fmt.Errorf("protocol %s is unknown", req.GetProtocol())
	}
	switch req.GetCodec() {
	case conformancev1.Codec_CODEC_PROTO:
	case conformancev1.Codec_CODEC_JSON:
		opts = append(opts, connect.WithProtoJSON())
	default:
		return nil, fmt.Errorf("codec %s is unknown", req.GetCodec())
	}
	switch req.GetCompression() {
	case conformancev1.Compression_COMPRESSION_GZIP:
		opts = append(opts, connect.WithSendGzip())
	case conformancev1.Compression_COMPRESSION_IDENTITY, conformancev1.Compression_COMPRESSION_UNSPECIFIED:
		opts = append(opts, connect.WithAcceptCompression("gzip", nil, nil))
	default:
		return nil, fmt.Errorf("compression %s is unknown", req.GetCompression())
	}
	if req.GetUseGetHttpMethod() {
		opts = append(opts, connect.WithHTTPGet())
	}
	return opts, nil
}
