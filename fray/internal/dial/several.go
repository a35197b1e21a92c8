package dial

import (
	"context"
	"errors"
	"net"
	"net/http"
	"net/url"
	"strings"
	"sync"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/internal/wire"
	"github.com/frayrpc/fray/internal/endpoint"
)

// several has calls go to the one of several controllers that leads. It goes on with one as long as
// that answers, then to where that says that the leader is, or to the next.
type several struct {
	connect.HTTPClient

	bases []*url.URL

	mu      sync.Mutex
	current int
	// Where the leader is said to be; nil: one of bases. It is asked until it does not answer for one.
	hint *url.URL
}

// newSeveral returns via itself if there is one URL, which calls are made to in any case.
func newSeveral(via connect.HTTPClient, urls string) (connect.HTTPClient, string, error) {
	s := &several{HTTPClient: via}
	list := endpoint.List(urls)
	if len(list) == 1 {
		return via, urls, nil
	}
	for _, one := range list {
		base, err := url.Parse(one)
		if err != nil {
			return nil, "", err
		}
		s.bases = append(s.bases, base)
	}
	return s, list[0], nil
}

// target returns where the next call goes.
func (s *several) target() *url.URL {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hint != nil {
		return s.hint
	}
	return s.bases[s.current]
}

// Do implements connect.HTTPClient. It asks each once, and one more that was hinted at, until one
// takes the request: those who stand by, or are not there, have not. What may have been taken it does
// not make again: whoever made the call decides on that. If none takes it, what one of them said counts
// more than that others are not there.
func (s *several) Do(req *http.Request) (*http.Response, error) {
	var said *http.Response // by the last that stands by
	for left := len(s.bases); ; left-- {
		res, taken, err := s.ask(req)
		if said != nil && (taken || res != nil) {
			_ = said.Body.Close() // It is not read.
		}
		if taken {
			return res, err
		}
		if res != nil {
			said = res
		}
		again, ok := anew(req)
		if left == 0 || !ok || req.Context().Err() != nil {
			if said != nil {
				return said, nil
			}
			return nil, err
		}
		req = again
	}
}

// ask makes a request to one, and says whether that may have taken it.
func (s *several) ask(req *http.Request) (res *http.Response, taken bool, err error) {
	target := s.target()
	like := *req
	there := *req.URL
	there.Scheme, there.Host = target.Scheme, target.Host
	there.Path = target.Path + strings.TrimPrefix(req.URL.Path, s.bases[0].Path)
	like.URL, like.Host = &there, ""
	res, err = s.HTTPClient.Do(&like)
	if err != nil {
		if absent(req.Context()) {
			s.leave(target, "")
		}
		var failed *net.OpError
		return nil, !errors.As(err, &failed) || failed.Op != "dial", err
	}
	if res.StatusCode != http.StatusServiceUnavailable {
		return res, true, nil
	}
	s.leave(target, res.Header.Get(wire.LeaderHeader))
	_, standsBy := res.Header[wire.LeaderHeader]
	return res, !standsBy, nil
}

// absent says whether a request that failed shows that nobody answers: its caller has not left it for a
// reason of its own. Who left at the very instant at which the time of the request was over has waited for
// all of it, whichever came first.
func absent(ctx context.Context) bool {
	if ctx.Err() == nil || errors.Is(context.Cause(ctx), context.DeadlineExceeded) || errors.Is(ctx.Err(), context.DeadlineExceeded) {
		return true
	}
	a, ok := ctx.Value(attemptKey{}).(*attempt)
	return ok && a.over()
}

// anew returns a request that was made already as it is to be made again, if it can be.
func anew(req *http.Request) (*http.Request, bool) {
	like := *req
	if req.Body == nil || req.Body == http.NoBody {
		return &like, true
	}
	if req.GetBody == nil {
		return nil, false
	}
	var err error
	like.Body, err = req.GetBody()
	return &like, err == nil
}

// leave goes on from a target that does not lead to where the leader is said to be, or to the next.
// Others may have done so already.
func (s *several) leave(target *url.URL, leader string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.hint != target && (s.hint != nil || s.bases[s.current] != target) {
		return
	}
	hint, err := url.Parse(leader)
	if leader == "" || err != nil || hint.Scheme != target.Scheme || hint.Host == "" || hint.Host == target.Host {
		hint = nil // A secret must not go over another kind of line than it was meant for.
	}
	if s.hint = hint; hint != nil {
		return
	}
	// Also if what was hinted at does not lead: who said so knows no better. It may be the next, and was
	// just asked.
	for range s.bases {
		if s.current = (s.current + 1) % len(s.bases); s.bases[s.current].Host != target.Host {
			return
		}
	}
}

// CloseIdleConnections makes that of http.Client reach the transport.
func (s *several) CloseIdleConnections() {
	if closer, ok := s.HTTPClient.(interface{ CloseIdleConnections() }); ok {
		closer.CloseIdleConnections()
	}
}
