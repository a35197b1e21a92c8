package main

import (
	"crypto/rand"
	"crypto/subtle"
	"errors"
	"net/http"
	"os"
	"slices"
	"strings"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/internal/outgoing"
)

// tokenVariable has the secret that controller, workers and clients of a cluster share. There is no
// flag for it, because everybody can read command lines.
const tokenVariable = outgoing.TokenVariable

// secure has every server of the command refuse callers without the token, and every client show
// it.
func (a *app) secure(token string) {
	a.secured = true
	a.seams.middleware = append(a.seams.middleware, requireToken(token))
	a.seams.clientOptions = append(a.seams.clientOptions, connect.WithInterceptors(outgoing.ShowToken(token)))
}

// checkToken refuses an empty token for a command that serves: whoever set the variable wants to be
// protected by it.
func (a *app) checkToken() error {
	if slices.Contains(a.environ, tokenVariable+"=") {
		return usageError("%s is set, but empty: give it a secret, or unset it to let everybody in who reaches the port", tokenVariable)
	}
	return nil
}

// secureOwn gives a cluster that only this process and its children are to use a token of its own,
// unless there is one. Otherwise every user of this machine could have commands executed. It
// returns the token that it chose; empty: there was one.
func (a *app) secureOwn() string {
	given := func(entry string) bool {
		token, ok := strings.CutPrefix(entry, tokenVariable+"=")
		return ok && token != ""
	}
	if slices.ContainsFunc(a.environ, given) {
		return ""
	}
	token := rand.Text()
	a.secure(token)
	a.environ = append(slices.Clip(a.environ), tokenVariable+"="+token)
	return token
}

// hideToken keeps the token from the commands that a worker executes.
func hideToken() error { return os.Unsetenv(tokenVariable) }

func requireToken(token string) func(http.Handler) http.Handler {
	refusal := connect.NewErrorWriter()
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			given, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
			if ok && subtle.ConstantTimeCompare([]byte(given), []byte(token)) == 1 {
				next.ServeHTTP(w, r)
				return
			}
			err := connect.NewError(connect.CodeUnauthenticated, errors.New("this cluster wants a token: set "+tokenVariable+" to what its controller was started with"))
			if !refusal.IsSupported(r) {
				http.Error(w, err.Message(), http.StatusUnauthorized)
				return
			}
			_ = refusal.Write(w, r, err) // the caller may be gone
		})
	}
}
