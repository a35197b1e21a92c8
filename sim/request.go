package sim

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/net/http/httpguts"
)

// userAgent is how net/http's client calls itself over HTTP/2.
const userAgent = "Go-http-client/2.0"

var errLongBody = errors.New("http2: request body larger than specified content length")

// checkRequest returns why net/http would not send a request.
func checkRequest(req *http.Request) error {
	switch {
	case req.URL == nil:
		return errors.New("http: nil Request.URL")
	case req.Header == nil:
		return errors.New("http: nil Request.Header")
	case req.URL.Scheme != "http" && req.URL.Scheme != "https":
		return fmt.Errorf("unsupported protocol scheme %q", req.URL.Scheme)
	case req.Method != "" && !httpguts.ValidHeaderFieldName(req.Method):
		return fmt.Errorf("net/http: invalid method %q", req.Method)
	case req.URL.Host == "":
		return errors.New("http: no Host in request URL")
	}
	for _, part := range []struct {
		what   string
		fields http.Header
	}{{"header", req.Header}, {"trailer", req.Trailer}} {
		for name, values := range part.fields { // order-free: which of several is named does not matter
			switch {
			case !httpguts.ValidHeaderFieldName(name):
				return fmt.Errorf("net/http: invalid %s field name %q", part.what, name)
			case !valid(values):
				return fmt.Errorf("net/http: invalid %s field value for %q", part.what, name)
			}
		}
	}
	return checkConnection(req.Header)
}

// checkConnection returns an error for what only connections of HTTP/1 have.
func checkConnection(h http.Header) error {
	one := func(name string, allowed ...string) error {
		values := h[name]
		if len(values) > 0 && (len(values) > 1 || !slices.ContainsFunc(allowed, func(a string) bool { return strings.EqualFold(a, values[0]) })) {
			return fmt.Errorf("invalid %s request header: %q", name, values)
		}
		return nil
	}
	return errors.Join(one("Upgrade", ""), one("Transfer-Encoding", "", "chunked"), one("Connection", "", "close", "keep-alive"))
}

// connectionHeaders stay behind when a request leaves.
var connectionHeaders = []string{"Host", "Content-Length", "Connection", "Proxy-Connection", "Transfer-Encoding", "Upgrade", "Keep-Alive"}

// leaving returns the header of a request as its handler sees it, and whether the client asked for
// compression by itself, which it undoes by itself then.
func (k *call) leaving(req *http.Request) (h http.Header, compressed bool) {
	h = req.Header.Clone()
	for _, name := range connectionHeaders {
		delete(h, name)
	}
	switch agent, set := h["User-Agent"]; {
	case !set:
		h["User-Agent"] = []string{userAgent}
	case len(agent) == 0 || agent[0] == "":
		delete(h, "User-Agent")
	}
	h = sendable(h)
	if h.Get("Accept-Encoding") == "" && h.Get("Range") == "" && k.method != http.MethodHead {
		h["Accept-Encoding"] = []string{"gzip"}
		compressed = true
	}
	if !k.streamed && (k.length > 0 || k.method == http.MethodPost || k.method == http.MethodPut || k.method == http.MethodPatch) {
		h["Content-Length"] = []string{strconv.FormatInt(k.length, 10)}
	}
	if len(req.Trailer) > 0 {
		names := make([]string, 0, len(req.Trailer))
		k.announced = make(http.Header, len(req.Trailer))
		for name := range req.Trailer { // order-free: sorted below
			name = http.CanonicalHeaderKey(name)
			names, k.announced[name] = append(names, name), nil
		}
		slices.Sort(names)
	}
	return h, compressed
}

// load reads the whole body of a request.
func (k *call) load(req *http.Request) error {
	if req.Body == nil || req.Body == http.NoBody {
		k.length = 0
		return nil
	}
	defer req.Body.Close()
	if k.length <= 0 {
		var err error
		k.body, err = io.ReadAll(req.Body)
		k.length = int64(len(k.body))
		return err
	}
	k.body = make([]byte, k.length)
	n, err := 0, error(nil)
	for n < len(k.body) && err == nil {
		var more int
		more, err = req.Body.Read(k.body[n:])
		n += more
	}
	switch {
	case n == len(k.body):
	case errors.Is(err, io.EOF):
		// The server finds that out.
		k.body = k.body[:n]
		k.bodyErr = fmt.Errorf("request declared a Content-Length of %d but only wrote %d bytes", k.length, n)
		return nil
	case err != nil:
		return err
	}
	var more [1]byte
	switch n, err := req.Body.Read(more[:]); {
	case n > 0:
		return errLongBody
	case err != nil && !errors.Is(err, io.EOF):
		return err
	}
	return nil
}

// uncompress undoes the compression that a client asked for by itself.
func uncompress(res *http.Response) {
	if !strings.EqualFold(res.Header.Get("Content-Encoding"), "gzip") || res.Body == http.NoBody {
		return
	}
	res.Header.Del("Content-Encoding")
	res.Header.Del("Content-Length")
	res.ContentLength, res.Uncompressed = -1, true
	res.Body = &inflated{ReadCloser: res.Body}
}

// inflated is a body that was compressed.
type inflated struct {
	io.ReadCloser

	gzip *gzip.Reader
	err  error
}

// Read implements io.Reader.
func (i *inflated) Read(b []byte) (int, error) {
	if i.gzip == nil && i.err == nil {
		i.gzip, i.err = gzip.NewReader(i.ReadCloser)
	}
	if i.err != nil {
		return 0, i.err
	}
	return i.gzip.Read(b)
}
