package sim

import (
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/http/httpguts"
)

// sendable returns what of a header travels over HTTP/2: names are canonical on the other side, and
// what is no header, or is one of connections, stays behind. It changes its argument, if that is
// not nil.
func sendable(h http.Header) http.Header {
	if h == nil {
		return make(http.Header, 4)
	}
	delete(h, "Connection")
	var odd []string
	for name, values := range h { // order-free: each is judged for itself
		if len(values) == 0 || name == "Transfer-Encoding" || !httpguts.ValidHeaderFieldName(name) || http.CanonicalHeaderKey(name) != name || !valid(values) {
			odd = append(odd, name)
		}
	}
	slices.Sort(odd)
	for _, name := range odd {
		values := slices.DeleteFunc(slices.Clone(h[name]), func(v string) bool { return !httpguts.ValidHeaderFieldValue(v) })
		delete(h, name)
		if canonical := http.CanonicalHeaderKey(name); canonical != "Transfer-Encoding" && httpguts.ValidHeaderFieldName(name) && len(values) > 0 {
			h[canonical] = append(h[canonical], values...)
		}
	}
	return h
}

func valid(values []string) bool {
	for _, v := range values {
		if !httpguts.ValidHeaderFieldValue(v) {
			return false
		}
	}
	return true
}

// elements calls f with each element of a header's value.
func elements(value string, f func(string)) {
	for element := range strings.SplitSeq(value, ",") {
		if element = strings.TrimSpace(element); element != "" {
			f(element)
		}
	}
}

// declare notes that there may be such a trailer.
func (w *responder) declare(name string) {
	name = http.CanonicalHeaderKey(name)
	if httpguts.ValidTrailerHeader(name) && !slices.Contains(w.trailers, name) {
		w.trailers = append(w.trailers, name)
	}
}

// promote makes trailers of what has http.TrailerPrefix.
func (w *responder) promote() {
	for name, values := range w.header { // order-free: each is moved for itself
		if bare, ok := strings.CutPrefix(name, http.TrailerPrefix); ok {
			w.declare(bare)
			w.header[http.CanonicalHeaderKey(bare)] = values
		}
	}
}

// trailer returns the trailers, once the handler has returned.
func (w *responder) trailer() http.Header {
	var t http.Header
	for _, name := range w.trailers {
		if values, ok := w.header[name]; ok {
			if t == nil {
				t = make(http.Header, len(w.trailers))
			}
			t[name] = slices.Clone(values)
		}
	}
	return t
}

// announced takes the names of trailers out of a header, and returns them without values.
func announced(h http.Header) http.Header {
	var t http.Header
	for _, value := range h["Trailer"] {
		elements(value, func(name string) {
			if t == nil {
				t = make(http.Header)
			}
			t[http.CanonicalHeaderKey(name)] = nil
		})
	}
	delete(h, "Trailer")
	return t
}

// received adds trailers to those of a message that was read to its end.
func received(to *http.Header, trailer http.Header) {
	if len(trailer) == 0 {
		return
	}
	if *to == nil {
		*to = make(http.Header, len(trailer))
	}
	maps.Copy(*to, trailer)
}

// dateline is the value of the header Date for one second.
type dateline struct {
	second int64
	text   string
}

// date returns the value of the header Date.
func (s *Sim) date() string {
	now := time.Now()
	d := s.dateline.Load()
	if d == nil || d.second != now.Unix() {
		d = &dateline{now.Unix(), now.UTC().Format(http.TimeFormat)}
		s.dateline.Store(d)
	}
	return d.text
}
