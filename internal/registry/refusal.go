package registry

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"path"
	"strings"

	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/lazyregexp"
	"github.com/libresh/libre/internal/web"
)

// A Refusal is an answer of a registry, or of its token server, with a status that means
// failure.
type Refusal struct {
	error
	status int
}

// Status returns the HTTP status of the answer.
func (r *Refusal) Status() int { return r.status }

func (r *Refusal) Unwrap() error { return r.error }

// refusal wraps an error of the library that has an HTTP status in a *Refusal. It returns
// any other error unchanged.
func refusal(err error) error {
	var failure *transport.Error
	if errors.As(err, &failure) {
		return &Refusal{err, failure.StatusCode}
	}
	return err
}

// checkStatus returns a *Refusal unless the answer has one of the expected statuses.
func checkStatus(response *http.Response, expected ...int) error {
	return refusal(transport.CheckError(response, expected...))
}

// Explain returns an error that says what failed, what the registry answered, and what to
// type next. doing is such as "reading registry.example/app:1".
func Explain(doing string, err error) error {
	host := ""
	var failure *transport.Error
	if errors.As(err, &failure) && failure.Request != nil {
		host = failure.Request.URL.Host
	}
	return explain(doing, host, err)
}

// explain does what Explain does, for callers that know the registry's name.
func explain(doing, registry string, err error) error {
	var certificate *web.CertificateError
	if errors.As(err, &certificate) { // not the error of plain HTTP, which was tried as well
		return &fault.Fault{Kind: fault.Unreachable, Doing: doing, Err: certificate, Fix: fault.Fix(err)}
	}
	var failure *transport.Error
	if !errors.As(err, &failure) {
		return unanswered(doing, err)
	}
	answer := &fault.Fault{Doing: doing, Err: errors.New(oneLine(failure))}
	switch {
	case refusesTag(failure):
		answer.Err, answer.Fix = &keptError{answer.Err}, tagFix(failure)
	case failure.StatusCode == http.StatusUnauthorized, failure.StatusCode == http.StatusForbidden && isAboutAccess(failure):
		answer.Kind, answer.Fix = fault.Credentials, loginFix(registry, failure)
	case failure.StatusCode == http.StatusNotFound:
		answer.Kind, answer.Err = fault.NotFound, ErrNotFound
		if text := refusalText(failure); text != "" {
			answer.Err = fmt.Errorf("%w (%s)", ErrNotFound, text)
		}
	case isRefusal(err):
		answer.Kind = fault.Refused
	}
	return answer
}

// unanswered does what explain does, for requests without an answer.
func unanswered(doing string, err error) error {
	var plain *plainError // then the error of HTTPS does not matter
	if errors.As(err, &plain) {
		err = plain.error
	}
	if limit := (*web.LimitError)(nil); errors.As(err, &limit) {
		return &fault.Fault{Kind: fault.Unreachable, Doing: doing, Err: limit}
	}
	if !isUnreachable(err) {
		return fmt.Errorf("%s: %w", doing, err)
	}
	unreachable := &fault.Fault{Kind: fault.Unreachable, Doing: doing, Err: err}
	var operation *net.OpError // of two, one for HTTPS and one for HTTP, the first
	var failed *url.Error      // its URL is long, and may be a secret
	switch {
	case errors.Is(err, http.ErrSchemeMismatch):
		unreachable.Err = errors.New("it uses plain HTTP, not HTTPS")
		unreachable.Fix = "--insecure, if the network is trusted"
	case errors.As(err, &operation):
		unreachable.Err = operation
	case errors.As(err, &failed):
		unreachable.Err = failed.Err
	}
	return unreachable
}

// explainPush does what explain does, for writes. If a write fails with 404, the repository or
// its project is missing: some registries do not create them on push.
func explainPush(doing, registry string, err error) error {
	err = explain(doing, registry, err)
	var answer *fault.Fault
	if errors.As(err, &answer) && answer.Kind == fault.NotFound {
		answer.Fix = "create the repository in the registry, or let the registry create repositories on push"
	}
	return err
}

// isUnreachable reports whether the network failed. If not, the answer made no sense.
func isUnreachable(err error) bool {
	var network net.Error
	return errors.As(err, &network) && !errors.Is(err, context.Canceled) || errors.As(err, new(*net.OpError)) || errors.As(err, new(*url.Error))
}

// oneLine returns a registry's answer, which is outside text, on one line.
func oneLine(failure *transport.Error) string {
	return web.Refusal(failure.StatusCode, body(failure))
}

// refusalText returns the codes and messages of a refusal, or the text of the page that came
// with it; "" if there is none.
func refusalText(failure *transport.Error) string { return web.Said(body(failure)) }

// body returns the body of a refusal. The library keeps the errors that it understands; it
// appends any other body to the status.
func body(failure *transport.Error) []byte {
	if len(failure.Errors) > 0 {
		understood, err := json.Marshal(map[string]any{"errors": failure.Errors})
		if err != nil {
			return nil
		}
		return understood
	}
	status := fmt.Sprintf("unexpected status code %d %s: ", failure.StatusCode, http.StatusText(failure.StatusCode))
	_, rest, _ := strings.Cut(failure.Error(), status)
	return []byte(rest)
}

// ErrTagKept means that a registry does not change existing tags.
var ErrTagKept = errors.New("the registry does not change existing tags")

// keptError is an ErrTagKept in the registry's words.
type keptError struct{ error }

func (e *keptError) Is(target error) bool { return target == ErrTagKept }

var (
	// In the words of ECR, Harbor, Artifact Registry, Azure, Quay, Nexus and others.
	aboutTags = lazyregexp.New(`(?i)immutab|overwrit|TAG_INVALID|(tag|image|manifest)\b.* already exists|already exists.*\btag|cannot be (changed|updated|replaced|modified)|cannot update tag|not allow updating|disallowed on this .*image|(tag|image|manifest)\b.*\blocked`)
	// Refusals that another login would not change.
	aboutOther = lazyregexp.New(`(?i)quota|limit|exceed|billing|payment|subscription|storage|polic(y|ies)|block|suspend|quarantin|vulnerab|severity|read.?only|maintenance|disabled|archived|\bip\b|allow.?list|whitelist|region|country|license|terms`)
	// Refusals by AWS that another login would change, though they name policies.
	aboutRights = lazyregexp.New(`(?i)is not authori[sz]ed to perform|no [a-z-]+ policy allows`)
)

// refusesTag reports whether a registry refuses to change a tag. Registries use many
// statuses for that.
func refusesTag(failure *transport.Error) bool {
	if failure.Request == nil || failure.Request.Method != http.MethodPut || !strings.Contains(failure.Request.URL.Path, "/manifests/") {
		return false
	}
	switch status := failure.StatusCode; status {
	case http.StatusConflict, http.StatusPreconditionFailed, http.StatusLocked:
		return aboutTags().MatchString(refusalText(failure)) || !strings.Contains(path.Base(failure.Request.URL.Path), ":") // not a digest
	default:
		return status >= http.StatusBadRequest && status < http.StatusInternalServerError && aboutTags().MatchString(refusalText(failure))
	}
}

// tagFix returns the fix for a tag that cannot be changed. Lists of what is attached to an
// image have the tag sha256-….
func tagFix(failure *transport.Error) string {
	if strings.HasPrefix(path.Base(failure.Request.URL.Path), "sha256-") {
		return "allow overwriting tags sha256-* in the registry's settings: they list what is attached to an image"
	}
	return "raise the package version (libre bump --repack), or allow overwriting tags in the registry's settings"
}

// loginFix returns how to log in, and names the login that was refused.
func loginFix(registry string, failure *transport.Error) string {
	if registry == "" {
		return ""
	}
	fix := "log in with: libre login " + registry
	if failure.Request == nil {
		return fix
	}
	if host := failure.Request.URL.Host; host != registry && strings.HasPrefix(failure.Request.URL.Path, "/v2/") {
		return registry + " redirects to " + host + ", which gets no login of another host: use that name for the registry, or correct the external URL in its settings"
	}
	user, _ := failure.Request.Context().Value(senderKey{}).(string)
	right := "push"
	if failure.Request.Method == http.MethodGet || failure.Request.Method == http.MethodHead {
		right = "read"
	}
	switch {
	case user == "":
		return fix
	case failure.StatusCode == http.StatusUnauthorized:
		return "the login of " + user + " is refused, " + fix
	}
	return "the login of " + user + " may not " + right + " there: ask for that right, or " + fix
}

// isAboutAccess reports whether another login may help.
func isAboutAccess(failure *transport.Error) bool {
	text := refusalText(failure)
	return !aboutOther().MatchString(text) || aboutRights().MatchString(text)
}
