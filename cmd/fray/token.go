package main

import (
	"crypto/rand"
	"slices"

	"github.com/frayrpc/fray/internal/command"
)

// secureOwn gives a cluster that only this process and its children are to use a token of its own,
// unless there is one. Otherwise every user of this machine could have commands executed. It
// returns the token that it chose; empty: there was one.
func (a *app) secureOwn() string {
	if a.Secured {
		return ""
	}
	token := rand.Text()
	a.Secure(token)
	a.Environ = append(slices.Clip(a.Environ), command.TokenVariable+"="+token)
	return token
}
