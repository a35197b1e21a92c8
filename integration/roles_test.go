package integration_test

import (
	"context"
	"flag"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"

	"google.golang.org/grpc"
	"google.golang.org/grpc/metadata"

	"github.com/frayrpc/fray/fray"
	"github.com/frayrpc/fray/fray/access"
	"github.com/frayrpc/fray/fray/h3"
)

// roles has every process and client of the suite show a credential, which lets it do what it needs
// and no more.
var roles = flag.Bool("roles", false, "give each process and client the least role that it needs")

// callersOfSuite are the callers of its access file, by role.
var callersOfSuite = []access.Roles{access.Client, access.Worker, access.Operator, access.Reader, access.Injector}

// tokenOf returns the token of the caller that has just one role; empty: without roles.
func tokenOf(role access.Roles) string {
	if !*roles {
		return ""
	}
	return "the-suite-as-" + role.String()
}

// accessFile is where the access file is, and tokenFile where that of one caller.
func accessFile() string { return filepath.Join(secure.dir, "access") }

func tokenFile(role access.Roles) string { return filepath.Join(secure.dir, role.String()+".token") }

// makeRoles writes the files.
func makeRoles() error {
	var b strings.Builder
	for _, role := range callersOfSuite {
		fmt.Fprintf(&b, "token %s %s %s\n", tokenOf(role), role, role)
		if err := os.WriteFile(tokenFile(role), []byte(tokenOf(role)+"\n"), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(accessFile(), []byte(b.String()), 0o600)
}

// leastRole is the one that a raw call is made with: clients', workers' and injectors' own calls with
// theirs, what reads with the reader's, and the rest with the operator's.
func leastRole(procedure string) access.Roles {
	row, _ := access.Lookup(procedure)
	for _, role := range []access.Roles{access.Reader, access.Client, access.Worker, access.Injector} {
		if row.Roles.Any(role) {
			return role
		}
	}
	return access.Operator
}

// leastRoles shows the token of the least role with requests that show none.
type leastRoles struct{ *http.Transport }

// RoundTrip implements http.RoundTripper.
func (l leastRoles) RoundTrip(r *http.Request) (*http.Response, error) {
	if *roles && r.Header.Get("Authorization") == "" {
		r = r.Clone(r.Context())
		r.Header.Set("Authorization", "Bearer "+tokenOf(leastRole(r.URL.Path)))
	}
	return l.Transport.RoundTrip(r)
}

// asClient is how clients of package fray reach the suite's clusters.
func asClient() []fray.Option {
	options := []fray.Option{fray.WithTLS(secure.files), fray.WithToken(tokenOf(access.Client))}
	if *http3 {
		options = append(options, fray.WithHTTP3(h3.Dial))
	}
	return options
}

// grpcRoles are leastRoles for grpc-go.
func grpcRoles() []grpc.DialOption {
	shown := func(ctx context.Context, method string) context.Context {
		if !*roles {
			return ctx
		}
		return metadata.AppendToOutgoingContext(ctx, "authorization", "Bearer "+tokenOf(leastRole(method)))
	}
	return []grpc.DialOption{
		grpc.WithUnaryInterceptor(func(ctx context.Context, method string, req, reply any, cc *grpc.ClientConn, next grpc.UnaryInvoker, opts ...grpc.CallOption) error {
			return next(shown(ctx, method), method, req, reply, cc, opts...)
		}),
		grpc.WithStreamInterceptor(func(ctx context.Context, desc *grpc.StreamDesc, cc *grpc.ClientConn, method string, next grpc.Streamer, opts ...grpc.CallOption) (grpc.ClientStream, error) {
			return next(shown(ctx, method), desc, cc, method, opts...)
		}),
	}
}
