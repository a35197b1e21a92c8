package process

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"path/filepath"
	"time"

	"connectrpc.com/connect"

	"github.com/frayrpc/fray/fray/certs"
	"github.com/frayrpc/fray/internal/outgoing"
	"github.com/frayrpc/fray/sim/cluster"
	"github.com/frayrpc/fray/sim/cluster/system"
)

// certificateTime is how long the certificates of a run last: longer than any run.
const certificateTime = 24 * time.Hour

// runHost is the name in the certificate of this process, which looks at the others.
const runHost = "run"

// secureRun makes what the processes show and trust, as far as the run asks for it: files in its
// directory.
func (s *stage) secureRun() error {
	s.http = &http.Client{Transport: &http.Transport{}}
	if text := s.play.AccessFile(); text != "" {
		if err := os.WriteFile(s.accessFile(), []byte(text), 0o600); err != nil {
			return fmt.Errorf("write who may do what: %w", err)
		}
	}
	if !s.config.MTLS {
		return nil
	}
	authority, err := certs.NewAuthority("fray-sim", certificateTime)
	if err != nil {
		return err
	}
	s.authority = authority
	if err := os.WriteFile(s.authorityFile(), authority.PEM, 0o600); err != nil {
		return fmt.Errorf("write certificate: %w", err)
	}
	files, err := s.certify(runHost)
	if err != nil {
		return err
	}
	transport := &http.Transport{}
	if err := files.Secure(transport, slog.New(slog.DiscardHandler)); err != nil {
		return err
	}
	s.http.Transport = transport
	return nil
}

func (s *stage) accessFile() string { return filepath.Join(s.dir, "access") }

func (s *stage) authorityFile() string { return filepath.Join(s.dir, "authority.pem") }

// certify returns the files of a process's certificate, which is for its name and its address; none
// without TLS.
func (s *stage) certify(host string) (files certs.Files, err error) {
	if s.authority == nil {
		return files, nil
	}
	names := []string{host}
	if n, ok := s.numbers[host]; ok {
		names = append(names, s.net.of(n))
	}
	if host == cluster.ControllerHost {
		names = append(names, "localhost")
	}
	cert, key, err := s.authority.Issue(host, names...)
	if err != nil {
		return files, err
	}
	files = certs.Files{
		Cert: filepath.Join(s.dir, host+".crt"), Key: filepath.Join(s.dir, host+".key"), ClientCA: s.authorityFile(), CA: s.authorityFile(),
	}
	if err := errors.Join(os.WriteFile(files.Cert, cert, 0o600), os.WriteFile(files.Key, key, 0o600)); err != nil {
		return files, fmt.Errorf("write certificate: %w", err)
	}
	return files, nil
}

// scheme is what URLs of the run's servers begin with.
func (s *stage) scheme() string {
	if s.authority != nil {
		return "https://"
	}
	return "http://"
}

// shows is the option of clients of fault services.
func (s *stage) shows() connect.ClientOption {
	token := s.play.TokenOf(system.InjectorName)
	if token == "" {
		return connect.WithClientOptions()
	}
	return connect.WithInterceptors(outgoing.ShowToken(func() string { return token }))
}
