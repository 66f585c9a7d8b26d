package registry

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"sync"
	"time"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/libresh/libre/internal/text"
	"github.com/libresh/libre/internal/web"
)

// A session is the login to one repository. It is made at the first request, and kept. The
// first request that writes replaces a session that may only read; later reads use the new one.
// When a token expires, the transport fetches another one.
type session struct {
	mu     sync.Mutex
	client *http.Client // nil before the first request
	scope  string       // transport.PullScope or PushScope, which includes the other
}

// session returns the client for requests to a repository with a scope.
func (c *Client) session(ctx context.Context, repository name.Repository, scope string) (*http.Client, error) {
	known, _ := c.sessions.LoadOrStore(repository.Name(), &session{})
	s := known.(*session)
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.client != nil && (s.scope == scope || s.scope == transport.PushScope) {
		return s.client, nil
	}
	client, err := c.logIn(ctx, repository, scope)
	if err != nil {
		return nil, refusal(err)
	}
	s.client, s.scope = client, scope
	return client, nil
}

func (c *Client) logIn(ctx context.Context, repository name.Repository, scope string) (*http.Client, error) {
	auth, err := authn.Resolve(ctx, c.keys, repository)
	if err != nil {
		return nil, err
	}
	login, err := auth.Authorization()
	if err != nil {
		return nil, err
	}
	user := text.Short(login.Username, 100)
	ctx = context.WithValue(ctx, senderKey{}, user)
	loggedIn, err := transport.NewWithContext(ctx, repository.Registry, auth, c.transport,
		[]string{repository.Scope(scope)})
	if err != nil {
		return nil, err
	}
	return &http.Client{Transport: &sentAs{loggedIn, user}}, nil // the transport decides which redirects may be followed
}

// senderKey is the context key for the user that a request is sent as, "" without a
// login. Errors name the user.
type senderKey struct{}

type sentAs struct {
	inner http.RoundTripper
	user  string
}

func (s *sentAs) RoundTrip(request *http.Request) (*http.Response, error) {
	return s.inner.RoundTrip(request.WithContext(context.WithValue(request.Context(), senderKey{}, s.user)))
}

// do sends a request that writes to a repository. An answer with a status other than the
// expected ones is a *Refusal.
func (c *Client) do(repository name.Repository, request *http.Request, expected ...int) (*http.Response, error) {
	return c.send(repository, transport.PushScope, request, expected...)
}

func (c *Client) send(repository name.Repository, scope string, request *http.Request, expected ...int) (*http.Response, error) {
	client, err := c.session(request.Context(), repository, scope)
	if err != nil {
		return nil, err
	}
	registry := &url.URL{Scheme: repository.Scheme(), Host: repository.RegistryStr()}
	response, err := ask(client, request.WithContext(web.LedBy(request.Context(), registry)))
	if err != nil {
		return nil, err
	}
	if err := checkStatus(response, expected...); err != nil {
		response.Body.Close()
		return nil, err
	}
	return response, nil
}

// ask sends a request and returns any answer. Its errors do not name the URL, which may
// be a secret that allows uploads.
func ask(client *http.Client, request *http.Request) (*http.Response, error) {
	response, err := client.Do(request)
	return response, refusal(web.WithoutURL(err))
}

// repositoryURL returns a URL below a repository, such as blobs/DIGEST.
func repositoryURL(repository name.Repository, below string) string {
	return fmt.Sprintf("%s://%s/v2/%s/%s", repository.Scheme(), repository.RegistryStr(), repository.RepositoryStr(), below)
}

// retried repeats do while it fails with a temporary error.
func retried(ctx context.Context, do func() error) error {
	for attempt := 0; ; attempt++ {
		err := do()
		if err == nil || attempt+1 == web.MostAttempts || !temporary(err) {
			return err
		}
		select {
		case <-time.After(web.Backoff(attempt)):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}
