package buildkit

import (
	"context"

	"github.com/moby/buildkit/session/auth"
	"google.golang.org/grpc"
)

// Login returns the user and the password for a registry; both are "" if none is known. A token
// has no user.
type Login func(host string) (user, password string, err error)

// logins answers the daemon's questions for logins. It fetches no tokens: the daemon does.
type logins struct {
	auth.UnimplementedAuthServer
	ask Login
}

// Register implements session.Attachable.
func (l logins) Register(s *grpc.Server) { auth.RegisterAuthServer(s, l) }

// Credentials implements auth.AuthServer.
func (l logins) Credentials(_ context.Context, r *auth.CredentialsRequest) (*auth.CredentialsResponse, error) {
	user, password, err := l.ask(r.Host)
	if err != nil {
		return nil, err
	}
	return &auth.CredentialsResponse{Username: user, Secret: password}, nil
}
