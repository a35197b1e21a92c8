package serve_test

import (
	"io"
	"maps"
	"net/http"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/frayrpc/fray/fray/internal/serve"
)

// A page that a browser shows has no way to call a server, whatever it pretends; programs have.
func TestWebPagesAreKeptOut(t *testing.T) {
	t.Parallel()
	url, _ := start(t, serve.Config{Gatherer: prometheus.NewRegistry()}, healthy)
	own := strings.TrimPrefix(url, "http://")
	port := own[strings.LastIndex(own, ":"):]
	const post, health = "POST /fray.v1.WorkerService/HealthCheck", "/fray.v1.WorkerService/HealthCheck?connect=v1&encoding=json&message=%7B%7D"
	for name, c := range map[string]struct {
		request, host string
		header        map[string]string
		want          int
	}{
		"program":                            {post, "", nil, 200},
		"by localhost":                       {post, "localhost" + port, nil, 200},
		"by another address":                 {post, "[::1]" + port, nil, 200},
		"by a name":                          {post, "evil.example" + port, nil, 403},
		"by a name that looks like an IP":    {post, "127.0.0.1.evil.example" + port, nil, 403},
		"by a name in localhost":             {post, "localhost.evil.example" + port, nil, 403},
		"page of another site":               {post, "", map[string]string{"Origin": "http://evil.example"}, 403},
		"page from a file":                   {post, "", map[string]string{"Origin": "null"}, 403},
		"page of another port":               {post, "", map[string]string{"Origin": "http://127.0.0.1:1"}, 403},
		"rebound page":                       {post, "evil.example" + port, map[string]string{"Origin": "http://evil.example" + port}, 403},
		"own page":                           {post, "", map[string]string{"Origin": url}, 200},
		"marked cross-site":                  {post, "", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"marked same-site":                   {post, "", map[string]string{"Sec-Fetch-Site": "same-site"}, 403},
		"simple request with text":           {post, "", map[string]string{"Content-Type": "text/plain"}, 415},
		"image of another site":              {"GET " + health, "", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"connect by GET":                     {"GET " + health, "", map[string]string{"Content-Type": ""}, 200},
		"connect by GET, by a name":          {"GET " + health, "evil.example", map[string]string{"Content-Type": ""}, 403},
		"gRPC-Web of another site":           {post, "", map[string]string{"Origin": "http://evil.example", "Content-Type": "application/grpc-web+json"}, 403},
		"metrics in the address bar":         {"GET /metrics", "", map[string]string{"Sec-Fetch-Site": "none"}, 200},
		"metrics of another site":            {"GET /metrics", "", map[string]string{"Sec-Fetch-Site": "cross-site"}, 403},
		"whether a page may ask (preflight)": {"OPTIONS /fray.v1.WorkerService/HealthCheck", "", map[string]string{"Origin": "http://evil.example", "Access-Control-Request-Method": "POST"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			method, path, _ := strings.Cut(c.request, " ")
			req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			if method == http.MethodGet {
				req.Body, req.ContentLength = http.NoBody, 0
			}
			req.Header.Set("Content-Type", "application/json")
			req.Host = c.host
			for k, v := range c.header {
				if req.Header.Set(k, v); v == "" {
					req.Header.Del(k)
				}
			}
			res, err := httpClient(t, false).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			text, _ := io.ReadAll(res.Body)
			got := res.StatusCode
			if res.Header.Get("Grpc-Status") == "7" || strings.Contains(string(text), "grpc-status: 7") {
				got = http.StatusForbidden // gRPC and gRPC-Web say it in their own way.
			}
			if got != c.want {
				t.Errorf("%d, want %d: %s", got, c.want, text)
			}
			if c.want == http.StatusForbidden && !strings.Contains(string(text)+res.Header.Get("Grpc-Message"), "server") {
				t.Errorf("the refusal does not say why: %s", text)
			}
		})
	}
}

// A page of the server's own may call it, from wherever its reader was led to it; by a name only where nobody else
// can have that name resolve to it, or learns anything by it.
func TestOwnPageMayCall(t *testing.T) {
	t.Parallel()
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "the page") })
	const post = "POST /fray.v1.WorkerService/HealthCheck"
	led := map[string]string{"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "navigate", "Sec-Fetch-Dest": "document", "Content-Type": ""}
	with := func(key, value string) map[string]string {
		m := maps.Clone(led)
		m[key] = value
		return m
	}
	for name, c := range map[string]struct {
		names         []string
		request, host string
		header        map[string]string
		want          int
	}{
		"page":                            {nil, "GET /", "", nil, 200},
		"page that a link leads to":       {nil, "GET /", "", led, 200},
		"page in a frame":                 {nil, "GET /", "", with("Sec-Fetch-Dest", "iframe"), 403},
		"page that a script asks for":     {nil, "GET /", "", with("Sec-Fetch-Mode", "cors"), 403},
		"page that a form is sent to":     {nil, "POST /", "", led, 403},
		"metrics that a link leads to":    {nil, "GET /metrics", "", led, 403},
		"call that a link leads to":       {nil, "GET /fray.v1.WorkerService/HealthCheck?connect=v1&encoding=json&message=%7B%7D", "", led, 403},
		"call of the page by a name":      {[]string{"fray.example"}, post, "fray.example:7070", map[string]string{"Origin": "http://fray.example:7070"}, 200},
		"call of the page by its name":    {[]string{"fray.example"}, post, "Fray.Example", map[string]string{"Origin": "https://fray.example"}, 200},
		"call of the page by another one": {[]string{"fray.example"}, post, "evil.example:7070", map[string]string{"Origin": "http://evil.example:7070"}, 403},
		"call from another page":          {[]string{"fray.example"}, post, "fray.example:7070", map[string]string{"Origin": "http://evil.example:7070"}, 403},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			url, _ := start(t, serve.Config{Gatherer: prometheus.NewRegistry(), Page: page, Names: c.names}, healthy)
			method, path, _ := strings.Cut(c.request, " ")
			req, err := http.NewRequestWithContext(t.Context(), method, url+path, strings.NewReader("{}"))
			if err != nil {
				t.Fatal(err)
			}
			req.Header.Set("Content-Type", "application/json")
			req.Host = c.host
			for k, v := range c.header {
				if req.Header.Set(k, v); v == "" {
					req.Header.Del(k)
				}
			}
			if method == http.MethodGet {
				req.Body, req.ContentLength = http.NoBody, 0
			}
			res, err := httpClient(t, false).Do(req)
			if err != nil {
				t.Fatal(err)
			}
			defer res.Body.Close()
			if res.StatusCode != c.want {
				text, _ := io.ReadAll(res.Body)
				t.Errorf("status %d, want %d: %s", res.StatusCode, c.want, text)
			}
		})
	}
}
