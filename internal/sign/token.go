package sign

import (
	"bytes"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"

	"github.com/pkg/browser"
	"github.com/sigstore/sigstore/pkg/oauthflow"

	"github.com/libresh/libre/internal/file"
)

const (
	// tokenVariable holds an identity token. GitLab (id_tokens) sets it.
	tokenVariable = "SIGSTORE_ID_TOKEN"
	// GitHub Actions and Forgejo Actions provide tokens at this URL.
	requestURLVariable   = "ACTIONS_ID_TOKEN_REQUEST_URL"
	requestTokenVariable = "ACTIONS_ID_TOKEN_REQUEST_TOKEN"

	// tokenAudience is the audience of the tokens: Fulcio's client ID.
	tokenAudience = "sigstore"
)

// token returns an identity token from the first source that has one: the configured file,
// the environment, Actions, a login in a browser.
func (k Keyless) token(ctx context.Context, issuer string, prompts Prompts, services http.RoundTripper) (string, error) {
	switch {
	case k.TokenFile != "":
		text, err := file.Read(k.TokenFile)
		if err != nil {
			return "", credentialFault(fmt.Errorf("read an identity token: %w", err))
		}
		return strings.TrimSpace(string(text)), nil
	case os.Getenv(tokenVariable) != "":
		return os.Getenv(tokenVariable), nil
	case os.Getenv(requestURLVariable) != "" && os.Getenv(requestTokenVariable) != "":
		token, err := actionsToken(ctx, services, os.Getenv(requestURLVariable), os.Getenv(requestTokenVariable))
		if err != nil {
			return "", fmt.Errorf("ask Actions for an identity token: %w", err)
		}
		return token, nil
	case prompts.Browser != nil:
		token, err := login(ctx, issuer, prompts.Browser)
		if err != nil {
			return "", credentialFault(fmt.Errorf("log in at %s: %w", issuer, err))
		}
		return token, nil
	}
	return "", credentialFault(fmt.Errorf("no identity token: set tokenFile or $%s, or in Actions the permission id-token: write, which sets $%s; there is no terminal for a login in the browser", tokenVariable, requestURLVariable))
}

// login asks a person to prove an identity in a browser. It wraps a library that does not
// support contexts.
func login(ctx context.Context, issuer string, say io.Writer) (string, error) {
	browser.Stdout, browser.Stderr = say, say // output of the program that opens pages
	getter := &oauthflow.InteractiveIDTokenGetter{HTMLPage: oauthflow.DefaultIDTokenGetter.HTMLPage, Output: say}
	type answer struct {
		token *oauthflow.OIDCIDToken
		err   error
	}
	answers := make(chan answer, 1)
	go func() {
		token, err := oauthflow.OIDConnect(issuer, tokenAudience, "", "", getter)
		answers <- answer{token, err}
	}()
	select {
	case <-ctx.Done():
		return "", ctx.Err()
	case got := <-answers:
		if got.err != nil {
			return "", got.err
		}
		return got.token.RawString, nil
	}
}

// actionsToken requests a token as GitHub documents it. Forgejo works the same way.
// https://docs.github.com/actions/reference/security/oidc
// https://forgejo.org/docs/next/user/actions/security-openid-connect
func actionsToken(ctx context.Context, services http.RoundTripper, from, bearer string) (string, error) {
	address, err := url.Parse(from)
	if err != nil {
		return "", fmt.Errorf("$%s is not a URL", requestURLVariable)
	}
	query := address.Query()
	query.Set("audience", tokenAudience)
	address.RawQuery = query.Encode()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, address.String(), nil)
	if err != nil {
		return "", err
	}
	request.Header.Set("Authorization", "Bearer "+bearer)
	client := http.Client{Transport: &serviceTransport{ctx, services}, Timeout: 30 * time.Second}
	response, err := client.Do(request)
	if err != nil {
		return "", err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return "", credentialFault(fmt.Errorf("%s answers %s", address.Host, response.Status))
	}
	var answer struct {
		Value string `json:"value"`
	}
	if err := json.NewDecoder(response.Body).Decode(&answer); err != nil || answer.Value == "" {
		return "", credentialFault(fmt.Errorf("%s sends no token", address.Host))
	}
	return answer.Value, nil
}

// checkToken returns a clear error for a token that is malformed or expired, because
// Fulcio's error is not helpful. Fulcio verifies the signature.
func checkToken(token string, now time.Time) error {
	parts := strings.Split(token, ".")
	if len(parts) != 3 {
		return errors.New("the identity token is not a JSON web token")
	}
	text, err := base64.RawURLEncoding.DecodeString(parts[1])
	if err != nil {
		return errors.New("the identity token is not a JSON web token")
	}
	var claims struct {
		Expiry float64 `json:"exp"` // seconds since the epoch
	}
	if err := json.Unmarshal(text, &claims); err != nil {
		return errors.New("the identity token is not a JSON web token")
	}
	if expiry := time.Unix(int64(claims.Expiry), 0); now.After(expiry) {
		return fmt.Errorf("the identity token expired at %s", expiry.UTC().Format(time.RFC3339))
	}
	return nil
}

// maxAnswer is the largest answer that is read from a service, in bytes.
const maxAnswer = 1 << 20

// A serviceTransport binds requests to a context, for clients that do not accept one. It
// turns temporary statuses into errors, because sigstore-go's clients lose them. It follows
// no redirect to plain HTTP, and removes the caller's token from error messages of
// services.
type serviceTransport struct {
	ctx  context.Context
	base http.RoundTripper // sends each request once; sign retries
}

func (t *serviceTransport) RoundTrip(request *http.Request) (*http.Response, error) {
	if request.Response != nil && !SafeURL(request.URL.String()) { // following it would send the token along
		return nil, fmt.Errorf("redirected to %s without TLS: not followed", request.URL.Host)
	}
	ctx, cancel := context.WithCancel(request.Context())
	defer cancel() // the body is read below
	defer context.AfterFunc(t.ctx, cancel)()
	response, err := t.base.RoundTrip(request.WithContext(ctx))
	if err != nil {
		if t.ctx.Err() != nil {
			err = t.ctx.Err()
		}
		return nil, err
	}
	body, err := io.ReadAll(io.LimitReader(response.Body, maxAnswer))
	err = errors.Join(err, response.Body.Close())
	if err != nil {
		return nil, err
	}
	if _, secret, ok := strings.Cut(request.Header.Get("Authorization"), " "); ok && secret != "" {
		body = bytes.ReplaceAll(body, []byte(secret), []byte("…"))
	}
	switch status := response.StatusCode; {
	case status == http.StatusRequestTimeout, status == http.StatusTooEarly, status == http.StatusTooManyRequests, status >= 500:
		return nil, fmt.Errorf("%s: %.200s", response.Status, bytes.TrimSpace(body))
	}
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}
