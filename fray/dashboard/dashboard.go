// Package dashboard has the page on which people watch a controller, and tell it to cancel, retry and
// drain. It is one document without anything from elsewhere. What it shows it asks the controller for,
// by the procedures that everybody calls, with the reader's credential: the page itself knows nothing,
// and needs none.
//
//	mux.Handle("GET /{$}", dashboard.Handler())
package dashboard

import (
	"bytes"
	"compress/gzip"
	"crypto/sha256"
	"embed"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"html/template"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/frayrpc/fray/internal/look"
)

//go:embed page
var files embed.FS

// scripts are the page's, in their order: each is a plain script that sees those before it.
var scripts = []string{
	"rpc.js", "dom.js", "format.js", "parts.js", "overview.js", "jobs.js", "tasks.js", "workers.js", "things.js", "actions.js", "main.js",
}

// document is the page as it is sent.
type document struct {
	plain, zipped []byte
	tag, policy   string
}

// made is the document, which is the same for all.
var made = sync.OnceValue(func() *document {
	style := look.Style + asset("page.css")
	var script strings.Builder
	for _, name := range scripts {
		script.WriteString(asset(name))
	}
	script.WriteString(look.Script)
	page := template.Must(template.New("page.html").ParseFS(files, "page/page.html"))
	var b bytes.Buffer
	err := page.Execute(&b, struct {
		Style  template.CSS
		Script template.JS
	}{template.CSS(style), template.JS(script.String())}) // Both are part of the program.
	if err != nil {
		panic(err)
	}
	d := &document{plain: b.Bytes()}
	var zipped bytes.Buffer
	z, _ := gzip.NewWriterLevel(&zipped, gzip.BestCompression) // There is such a level.
	_, _ = z.Write(d.plain)                                    // Neither fails in memory.
	_ = z.Close()
	d.zipped = zipped.Bytes()
	sum := sha256.Sum256(d.plain)
	d.tag = hex.EncodeToString(sum[:8])
	d.policy = fmt.Sprintf("default-src 'none'; script-src %s; style-src %s; connect-src 'self'; img-src data:; form-action 'none'; base-uri 'none'; frame-ancestors 'none'",
		hashOf(script.String()), hashOf(style))
	return d
})

// hashOf is a source of a content security policy that is this text alone.
func hashOf(text string) string {
	sum := sha256.Sum256([]byte(text))
	return "'sha256-" + base64.StdEncoding.EncodeToString(sum[:]) + "'"
}

// asset returns a file of the page, which there is.
func asset(name string) string {
	raw, err := files.ReadFile("page/" + name)
	if err != nil {
		panic(err)
	}
	return string(raw)
}

// Handler serves the page, to whoever asks.
func Handler() http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		d := made()
		head := w.Header()
		head.Set("Content-Type", "text/html; charset=utf-8")
		head.Set("Content-Security-Policy", d.policy)
		head.Set("X-Content-Type-Options", "nosniff")
		head.Set("Referrer-Policy", "no-referrer")
		head.Set("Cross-Origin-Opener-Policy", "same-origin")
		head.Set("Cache-Control", "no-cache")
		head.Set("Vary", "Accept-Encoding")
		body, tag := d.plain, `"`+d.tag+`"`
		if strings.Contains(r.Header.Get("Accept-Encoding"), "gzip") {
			head.Set("Content-Encoding", "gzip")
			body, tag = d.zipped, `"`+d.tag+`-gzip"`
		}
		head.Set("ETag", tag)
		http.ServeContent(w, r, "", time.Time{}, bytes.NewReader(body))
	})
}

// SignIn returns what follows the page's path in an address by which a browser is signed in at once:
// the token, where browsers do not send it to anybody. The page takes it out of the address.
func SignIn(token string) string { return "#token=" + url.QueryEscape(token) }
