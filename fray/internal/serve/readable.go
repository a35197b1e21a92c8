package serve

import (
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"

	"connectrpc.com/connect"
)

// envelopePrefix is how many bytes stand before a message of a stream: flags, and its length.
const envelopePrefix = 5

// readable has requests that cannot be read be INVALID_ARGUMENT: that they break off, that an envelope has flags or a
// length that it cannot have, or a query is no base64, is the caller's mistake. Connect takes it for one of the server,
// and says INTERNAL or UNKNOWN, upon which operators would look for a bug.
func readable(next http.Handler) http.Handler {
	refusal := connect.NewErrorWriter()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if err := readableQuery(r); err != nil {
			_ = refusal.Write(w, r, err) // The caller may be gone.
			return
		}
		body := &readableBody{ReadCloser: r.Body, request: r}
		kind := r.Header.Get("Content-Type")
		for _, of := range []struct{ kind, compression string }{
			{"application/grpc", "Grpc-Encoding"}, {"application/connect+", "Connect-Content-Encoding"},
		} {
			if strings.HasPrefix(kind, of.kind) {
				body.enveloped = true
				encoding := r.Header.Get(of.compression)
				body.packed = encoding != "" && encoding != "identity"
			}
		}
		checked := r.WithContext(r.Context())
		checked.Body = body
		next.ServeHTTP(w, checked)
	})
}

// readableQuery returns what is wrong with a message that a query has.
func readableQuery(r *http.Request) error {
	if r.Method != http.MethodGet || r.URL.RawQuery == "" {
		return nil
	}
	query := r.URL.Query()
	if query.Get("base64") != "1" {
		return nil
	}
	message, encoding := query.Get("message"), base64.RawURLEncoding
	if len(message)%4 == 0 {
		encoding = base64.URLEncoding // Padded, or none was needed.
	}
	if _, err := encoding.DecodeString(message); err != nil {
		return invalid("the query's message is no base64 for URLs: %w", err)
	}
	return nil
}

// readableBody is a body that says what is wrong with it.
type readableBody struct {
	io.ReadCloser

	request   *http.Request
	enveloped bool // it has messages in envelopes
	packed    bool // which may be compressed

	prefix int   // bytes read of a prefix; 0: the next byte begins one, or belongs to a message
	length int64 // as far as the prefix has it
	left   int64 // bytes of the message that are to come
	err    error // ends every further read
}

// Read implements io.Reader.
func (b *readableBody) Read(p []byte) (int, error) {
	if b.err != nil {
		return 0, b.err
	}
	n, err := b.ReadCloser.Read(p)
	if b.enveloped {
		n = b.follow(p[:n])
	}
	switch {
	case b.err != nil:
		return n, b.err
	case err == nil:
		return n, nil
	case !errors.Is(err, io.EOF):
		// When the call is over, that is what is told.
		if b.request.Context().Err() == nil {
			err = invalid("the body cannot be read to its end: %w", err)
		}
	case b.left > 0:
		err = invalid("the body ends %d bytes before its message does", b.left)
	case b.prefix > 0:
		err = invalid("the body ends within the %d bytes before a message", envelopePrefix)
	}
	b.err = err
	return n, err
}

// follow looks at envelopes as they pass, and returns how many bytes may pass: those before flags that there
// cannot be.
func (b *readableBody) follow(p []byte) int {
	for i := 0; i < len(p); {
		if b.left > 0 {
			n := min(b.left, int64(len(p)-i))
			b.left -= n
			i += int(n) // within: at most len(p)
			continue
		}
		switch c := p[i]; {
		case b.prefix > 0:
			b.length = b.length<<8 | int64(c)
		case c > 1:
			b.err = invalid("the envelope of a message has the flags %#x, and may have 0, or 1 where it is compressed", c)
			return i
		case c == 1 && !b.packed:
			b.err = invalid("a message is said to be compressed, and no header says how")
			return i
		}
		i++
		if b.prefix++; b.prefix == envelopePrefix {
			b.left, b.prefix, b.length = b.length, 0, 0
		}
	}
	return len(p)
}

func invalid(format string, args ...any) error {
	return connect.NewError(connect.CodeInvalidArgument, fmt.Errorf(format, args...))
}
