package rayjobs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/internal/sleep"
)

// Bounds of calls.
const (
	// callTimeout is how long one attempt may take, without what it sends.
	callTimeout = 30 * time.Second
	// attempts is how often a call is made that fails for a reason that passes. Between them passes
	// a time that doubles from firstPause to lastPause, less up to a half.
	attempts   = 5
	firstPause = 200 * time.Millisecond
	lastPause  = 5 * time.Second
	// maxAnswer bounds answers, those with logs aside, and maxLogs these, in bytes.
	maxAnswer = 4 << 20
	maxLogs   = 16 << 20
	// floorRate is the slowest line that the time of a call allows for, in bytes per second.
	floorRate = 128 << 10
)

// Config says where the cluster is, and how it is reached.
type Config struct {
	// URL is that of the cluster's dashboard, such as "http://head:8265".
	URL string
	// Token is shown as "Authorization: Bearer", as Ray 2.52 and later want it where they are started
	// with RAY_AUTH_MODE=token. Empty: none is.
	Token string
	// HTTP carries the calls. Nil: a client with connections of its own, which trusts the machine's
	// authorities.
	HTTP *http.Client
	// Rand is asked for the jitter of pauses; it may be used from several goroutines. Nil: there is
	// none.
	Rand func() float64
	// Pause is the first pause between attempts. 0: 200 ms.
	Pause time.Duration
}

// Client calls one cluster. It may be used by several goroutines.
type Client struct {
	config Config
	http   *http.Client
	owned  *http.Transport // nil: the connections are the caller's
}

// New returns a client of a cluster, which nothing has been asked of yet.
func New(config Config) (*Client, error) {
	if err := checkURL(config.URL); err != nil {
		return nil, err
	}
	config.URL = strings.TrimRight(config.URL, "/")
	if strings.IndexFunc(config.Token, func(r rune) bool { return r <= ' ' || r > '~' }) >= 0 {
		return nil, errors.New("ray token: it must be of printable ASCII without spaces: is there a line break at its end?")
	}
	c := &Client{config: config}
	via := http.Client{}
	if config.HTTP != nil {
		via = *config.HTTP
	} else {
		c.owned = outgoing.NewTransport()
		via.Transport = c.owned
	}
	// An answer that leads elsewhere, such as to a page where one logs in, is none of Ray's.
	via.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	c.http = &via
	return c, nil
}

func checkURL(address string) error {
	u, err := url.Parse(address)
	if err == nil && u.Scheme == "ray" {
		return fmt.Errorf("ray address %q is one for Ray Client: give the URL of the dashboard, like http://head:8265", address)
	}
	if err != nil || (u.Scheme != "http" && u.Scheme != "https") || u.Host == "" || u.RawQuery != "" || u.ForceQuery || u.Fragment != "" {
		return fmt.Errorf("ray address %q must be the URL of the dashboard, like http://head:8265", address)
	}
	return nil
}

// Close lets go of the connections that the client opened.
func (c *Client) Close() {
	if c.owned != nil {
		c.owned.CloseIdleConnections()
	}
}

// URL returns that of the cluster.
func (c *Client) URL() string { return c.config.URL }

// request is one call.
type request struct {
	method, path string
	// body returns what is sent, from its beginning. Nil: nothing is.
	body  func() (io.Reader, error)
	bytes int64 // of the body
	json  bool  // what is sent is JSON
	limit int64 // on the answer; 0: maxAnswer
	// there says whether an error means that the call was carried out before, which is success where
	// it repeats another. Nil: none does.
	there   func(error) bool
	repeats bool
}

// do makes a call until it is answered with 200, may not be made again, or ctx is done. It decodes the
// answer's JSON into answer unless that is nil.
func (c *Client) do(ctx context.Context, r *request, answer any) error {
	pause := firstPause
	if c.config.Pause > 0 {
		pause = c.config.Pause
	}
	for n := 1; ; n++ {
		body, again, err := c.attempt(ctx, r)
		switch {
		case err == nil && answer != nil:
			return c.decode(r, body, answer)
		case err == nil:
			return nil
		case r.there != nil && (n > 1 || r.repeats) && r.there(err):
			return nil
		case !again || n == attempts || ctx.Err() != nil:
			return err
		}
		wait := min(pause<<(n-1), lastPause)
		if c.config.Rand != nil {
			wait -= time.Duration(c.config.Rand() * float64(wait/2)) // within: less than wait
		}
		if sleep.For(ctx, wait) != nil {
			return err
		}
	}
}

// attempt makes a call once, and says whether it may be made again that failed.
func (c *Client) attempt(ctx context.Context, r *request) (body []byte, again bool, err error) {
	call := r.method + " " + c.config.URL + r.path
	ctx, cancel := context.WithTimeout(ctx, callTimeout+time.Duration(r.bytes)*time.Second/floorRate) // within: packages are bounded
	defer cancel()
	var sent io.Reader
	if r.body != nil {
		if sent, err = r.body(); err != nil {
			return nil, false, fmt.Errorf("%s: %w", call, err)
		}
	}
	req, err := http.NewRequestWithContext(ctx, r.method, c.config.URL+r.path, sent)
	if err != nil {
		return nil, false, fmt.Errorf("%s: %w", call, err)
	}
	if sent != nil {
		req.ContentLength = r.bytes
	}
	if r.json {
		req.Header.Set("Content-Type", "application/json")
	}
	if c.config.Token != "" {
		req.Header.Set("Authorization", "Bearer "+c.config.Token)
	}
	res, err := c.http.Do(req)
	if err != nil {
		var wrapped *url.Error // Whose text has the address once more.
		if errors.As(err, &wrapped) {
			err = wrapped.Err
		}
		return nil, true, fmt.Errorf("%s: %w", call, err)
	}
	defer res.Body.Close()
	limit := r.limit
	if limit == 0 || res.StatusCode != http.StatusOK {
		limit = maxAnswer
	}
	body, err = io.ReadAll(io.LimitReader(res.Body, limit+1))
	switch {
	case err != nil:
		return nil, true, fmt.Errorf("%s: read the answer: %w", call, err)
	case int64(len(body)) > limit:
		return nil, false, fmt.Errorf("%s: the answer has more than %d bytes", call, limit)
	case res.StatusCode == http.StatusOK:
		return body, false, nil
	}
	failed := &answerError{call: call, status: res.StatusCode, text: quote(body)}
	again, failed.kind = judge(res, body)
	if location := res.Header.Get("Location"); location != "" {
		failed.text = fmt.Sprintf("go to %q", Cut(location, maxErrorText))
	}
	return nil, again, failed
}

// judge says what an answer means that is none of success, and whether the call may be made again.
func judge(res *http.Response, body []byte) (again bool, kind error) {
	status := res.StatusCode
	switch {
	case status == http.StatusUnauthorized, status == http.StatusForbidden:
		return false, ErrUnauthorized
	case status == http.StatusNotFound && bytes.Contains(body, []byte("does not exist")):
		return false, ErrUnknown
	case status < http.StatusBadRequest, isPage(res), status == http.StatusNotFound, status == http.StatusMethodNotAllowed:
		if status >= http.StatusInternalServerError {
			return true, nil // Of a proxy before it.
		}
		return false, ErrNotRay
	case status == http.StatusTooManyRequests:
		return true, nil
	case status < http.StatusInternalServerError:
		return false, ErrRefused
	case bytes.Contains(body, []byte("status code 400")):
		return false, ErrRefused // The head passes on what the agent of a node has refused.
	default:
		return true, nil
	}
}

func isPage(res *http.Response) bool {
	return strings.HasPrefix(res.Header.Get("Content-Type"), "text/html")
}

// decode reads an answer. One that is no JSON, or of another shape, is none of Ray's.
func (c *Client) decode(r *request, body []byte, answer any) error {
	if err := json.Unmarshal(body, answer); err != nil {
		return fmt.Errorf("%s %s%s: %w: answered with %s", r.method, c.config.URL, r.path, ErrNotRay, quote(body))
	}
	if shaped, ok := answer.(interface{ isRays() bool }); ok && !shaped.isRays() {
		return fmt.Errorf("%s %s%s: %w: answered with %s", r.method, c.config.URL, r.path, ErrNotRay, quote(body))
	}
	return nil
}

// send is a body of JSON.
func (r *request) send(message any) error {
	text, err := json.Marshal(message)
	if err != nil {
		return fmt.Errorf("%s %s: %w", r.method, r.path, err)
	}
	r.json, r.bytes = true, int64(len(text))
	r.body = func() (io.Reader, error) { return bytes.NewReader(text), nil }
	return nil
}
