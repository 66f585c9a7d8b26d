package registry

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"golang.org/x/sync/errgroup"

	"github.com/libresh/libre/internal/catalog"
	"github.com/libresh/libre/internal/fault"
)

const (
	// smallBlob is the largest size, in bytes, of a blob that is sent with the request
	// that begins its upload, without asking for it first: asking takes as long.
	smallBlob = 64 << 10
	// largeBlob is the size, in bytes, above which libre asks for a blob even if a former image
	// shows what the registry has: an earlier run may have sent the blob and stopped. The
	// registry may also refuse such a blob before it is sent.
	largeBlob = 4 << 20
	// cancelsAtOnce is how many uploads are cancelled at the same time.
	cancelsAtOnce = 8
)

// CheckPush checks push access, before anything is built: it begins an upload, which the
// first larger blob for that repository uses. CancelUploads ends unused ones. An error that will
// come again is of kind Credentials, NotFound or Refused.
func (c *Client) CheckPush(ctx context.Context, ref catalog.Ref) error {
	tag, err := c.Tag(ref)
	if err != nil {
		return err
	}
	if _, pending := c.pendingUploads.Load(tag.Context().Name()); pending {
		return nil
	}
	err = retried(ctx, func() error {
		location, err := c.beginUpload(ctx, tag.Context(), nil, nil)
		if err == nil {
			c.pendingUploads.Store(tag.Context().Name(), pendingUpload{tag.Context(), location})
		}
		return err
	})
	if err != nil {
		return explainPush("checking push access to "+tag.Context().Name(), tag.RegistryStr(), err)
	}
	return nil
}

// pendingUpload is an upload without a blob.
type pendingUpload struct {
	repository name.Repository
	location   *url.URL
}

// cancelPatience is the timeout for cancelling all uploads.
const cancelPatience = 10 * time.Second

// CancelUploads cancels the uploads that CheckPush began and no blob used, also if ctx has
// ended. Registries that cannot cancel let them expire.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#cancel-a-blob-upload
func (c *Client) CancelUploads(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(cancelsAtOnce)
	c.pendingUploads.Range(func(key, value any) bool {
		c.pendingUploads.Delete(key)
		upload := value.(pendingUpload)
		group.Go(func() error {
			request, err := http.NewRequestWithContext(ctx, http.MethodDelete, upload.location.String(), nil)
			if err != nil {
				return err
			}
			response, err := c.do(upload.repository, request, taken...)
			if err != nil {
				return err
			}
			return response.Body.Close()
		})
		return true
	})
	_ = group.Wait() // nothing depends on it
}

// PutBlob sends a blob to a repository of any registry, unless this run has sent it there.
// It does not ask for it first.
func (c *Client) PutBlob(ctx context.Context, repository name.Repository, content []byte) error {
	from := memoryOrigin{}
	blob, err := from.add(content, "")
	if err != nil {
		return err
	}
	t := transfer{client: c, repository: repository, from: from, assumeNew: true}
	return t.sendBlob(ctx, blob)
}

// tryBlob sends a blob, in one request or two, unless the repository has it or can mount
// it from another one.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-monolithically
func (t *transfer) tryBlob(ctx context.Context, blob v1.Descriptor, mountFrom string) error {
	if t.askAll || blob.Size > largeBlob || blob.Size > smallBlob && !t.assumeNew {
		if has, err := t.hasBlob(ctx, blob.Digest); err != nil || has {
			return err
		}
	}
	if mountFrom == "" && blob.Size > smallBlob {
		if begun, ok := t.client.pendingUploads.LoadAndDelete(t.repository.Name()); ok {
			err := t.putBlob(ctx, begun.(pendingUpload).location, blob)
			if !isRefusal(err) {
				return err
			}
			// The upload expired during the build.
		}
	}
	location, err := t.begin(ctx, blob, mountFrom)
	if err != nil || location == nil {
		return err
	}
	return t.putBlob(ctx, location, blob)
}

// hasBlob reports whether the registry has a blob. It returns false if the registry refuses
// to answer.
func (t *transfer) hasBlob(ctx context.Context, digest v1.Hash) (bool, error) {
	status, err := t.client.headBlob(ctx, t.repository, transport.PushScope, digest)
	return status == http.StatusOK, err
}

// Lost reports whether the repository lacks one of the blobs. If the repository refuses to
// answer for a blob, the blob counts as present.
func (c *Client) Lost(ctx context.Context, repository name.Repository, blobs []v1.Descriptor) (bool, error) {
	for _, blob := range blobs {
		status, err := c.headBlob(ctx, repository, transport.PullScope, blob.Digest)
		if err != nil {
			return false, explain("looking for "+blob.Digest.String(), repository.RegistryStr(), err)
		}
		if status == http.StatusNotFound {
			return true, nil
		}
	}
	return false, nil
}

// headBlob requests a blob's headers and returns the status of the answer.
func (c *Client) headBlob(ctx context.Context, repository name.Repository, scope string, digest v1.Hash) (int, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodHead, repositoryURL(repository, "blobs/"+digest.String()), nil)
	if err != nil {
		return 0, err
	}
	response, err := c.send(repository, scope, request, append([]int{http.StatusOK}, anyRefusal...)...)
	if err != nil {
		return 0, err
	}
	return response.StatusCode, response.Body.Close()
}

// begin begins an upload and returns where to send the blob. The location is nil if the
// registry has the blob now: mounted, or sent with the request.
func (t *transfer) begin(ctx context.Context, blob v1.Descriptor, mountFrom string) (location *url.URL, err error) {
	switch {
	case mountFrom != "":
		location, err = t.client.beginUpload(ctx, t.repository, url.Values{"mount": {blob.Digest.String()}, "from": {mountFrom}}, nil)
	case blob.Size <= smallBlob:
		location, err = t.client.beginUpload(ctx, t.repository, url.Values{"digest": {blob.Digest.String()}}, t.body(ctx, blob))
	default:
		return t.client.beginUpload(ctx, t.repository, nil, nil)
	}
	if err != nil && ctx.Err() == nil {
		// Registries refuse what they need not support in many ways, such as mounts from
		// repositories that the login may not read.
		return t.client.beginUpload(ctx, t.repository, nil, nil)
	}
	return location, err
}

// taken are the statuses of a successful write. The specification has 201 and 202 only.
var taken = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// beginUpload asks for an upload. With a query and a body the registry may take the blob
// at once: location is nil then.
func (c *Client) beginUpload(ctx context.Context, repository name.Repository, query url.Values, body func(*http.Request)) (location *url.URL, err error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, repositoryURL(repository, "blobs/uploads/"), nil)
	if err != nil {
		return nil, err
	}
	request.URL.RawQuery = query.Encode()
	if body != nil {
		body(request)
	}
	response, err := c.do(repository, request, taken...)
	if err != nil {
		return nil, err
	}
	response.Body.Close()
	location, err = uploadLocation(response)
	isUpload := location != nil && strings.Contains(location.Path, "/blobs/uploads/")
	switch {
	case response.StatusCode == http.StatusCreated && query != nil && !isUpload:
		return nil, nil
	case err == nil && query != nil && !isUpload && response.StatusCode != http.StatusAccepted:
		return nil, fmt.Errorf("the registry answers %d without the blob or a URL to upload it to", response.StatusCode)
	}
	return location, err
}

// uploadLocation returns the URL that a registry names for an upload.
func uploadLocation(response *http.Response) (*url.URL, error) {
	named := response.Header.Get("Location")
	if upload := response.Header.Get("Docker-Upload-UUID"); named == "" && upload != "" {
		named = url.PathEscape(upload) // relative to /v2/NAME/blobs/uploads/
	}
	if named == "" {
		return nil, errors.New("the registry names no URL to upload to")
	}
	asked := response.Request.URL
	location, err := asked.Parse(named)
	if err != nil {
		return nil, fmt.Errorf("the registry names a wrong URL to upload to: %w", err)
	}
	if asked.Scheme == "https" && location.Scheme == "http" {
		if location.Hostname() != asked.Hostname() {
			return nil, fmt.Errorf("%s redirects the upload to %s without TLS: not followed", asked.Host, location.Host)
		}
		location.Scheme, location.Host = asked.Scheme, asked.Host // the registry does not know that a proxy adds TLS
	}
	return location, nil
}

// putBlob sends a blob and ends its upload.
func (t *transfer) putBlob(ctx context.Context, location *url.URL, blob v1.Descriptor) error {
	to := *location
	// The registry's own query is kept unchanged.
	to.RawQuery = strings.TrimPrefix(to.RawQuery+"&digest="+url.QueryEscape(blob.Digest.String()), "&")
	request, err := http.NewRequestWithContext(ctx, http.MethodPut, to.String(), nil)
	if err != nil {
		return err
	}
	t.body(ctx, blob)(request)
	if blob.Size > largeBlob {
		request.Header.Set("Expect", "100-continue")
	}
	response, err := t.client.do(t.repository, request, taken...)
	if err != nil {
		return err
	}
	return response.Body.Close()
}

// body makes a blob the body of a request. It is opened each time the request is sent.
func (t *transfer) body(ctx context.Context, blob v1.Descriptor) func(*http.Request) {
	return func(request *http.Request) {
		request.Header.Set("Content-Type", "application/octet-stream")
		if blob.Size > 0 {
			request.ContentLength = blob.Size
			request.Body = lazyBody{}
			request.GetBody = func() (io.ReadCloser, error) { return t.from.blob(ctx, blob.Digest) }
		}
	}
}

// lazyBody is a placeholder: the transport opens the real body each time it sends the
// request.
type lazyBody struct{}

func (lazyBody) Read([]byte) (int, error) {
	return 0, errors.New("reading a body that was not opened")
}
func (lazyBody) Close() error { return nil }

// tooLarge names what could not be sent, with its size if a limit refused it.
func tooLarge(kind string, sent v1.Descriptor, err error) error {
	var failure *transport.Error
	switch {
	case err == nil:
		return nil
	case errors.As(err, &failure) && failure.StatusCode == http.StatusRequestEntityTooLarge:
		size := fmt.Sprintf("%.1f MB", float64(sent.Size)/1e6)
		if sent.Size < 1e6 {
			size = fmt.Sprintf("%.1f kB", float64(sent.Size)/1e3)
		}
		return &fault.Fault{
			Doing: fmt.Sprintf("sending %s %s of %s", kind, sent.Digest, size),
			Err:   errors.New(oneLine(failure)),
			Fix:   "raise the upload limit of the registry, or of a proxy in front of it",
		}
	}
	return fmt.Errorf("%s %s: %w", kind, sent.Digest, err)
}
