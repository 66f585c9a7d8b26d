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
	// smallBlob is up to which size a blob is sent with the request that begins its
	// upload, and without asking whether it is there: the question takes as long.
	smallBlob = 64 << 10
	// largeBlob is from which size a blob is asked for even where a former image
	// tells what is there, in case a run before this one sent it and went no further,
	// and from which the registry is let say no before the blob is sent.
	largeBlob = 4 << 20
	// cancelsAtOnce is how many uploads are cancelled at the same time.
	cancelsAtOnce = 8
)

// CheckPush asks whether a push would be let in, before anything is built: it
// begins an upload, which the first larger blob that is sent there then takes.
// CancelUploads ends those that no blob took.
func (c *Client) CheckPush(ctx context.Context, ref catalog.Ref) error {
	tag, err := c.Tag(ref)
	if err != nil {
		return err
	}
	if _, letIn := c.pendingUploads.Load(tag.Context().Name()); letIn {
		return nil
	}
	err = retried(ctx, func() error {
		location, err := c.beginUpload(ctx, tag.Context(), nil, nil)
		if err == nil {
			c.pendingUploads.Store(tag.Context().Name(), begunUpload{tag.Context(), location})
		}
		return err
	})
	if err != nil {
		return explainPush("checking push access to "+tag.Context().Name(), tag.RegistryStr(), err)
	}
	return nil
}

// begunUpload is an upload that waits for a blob.
type begunUpload struct {
	repository name.Repository
	location   *url.URL
}

// cancelPatience is how long registries may take to drop uploads.
const cancelPatience = 10 * time.Second

// CancelUploads ends what CheckPush began and no blob took, also where ctx has ended.
// Registries that do not know how drop it some day by themselves.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#cancel-a-blob-upload
func (c *Client) CancelUploads(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cancelPatience)
	defer cancel()
	var group errgroup.Group
	group.SetLimit(cancelsAtOnce)
	c.pendingUploads.Range(func(key, value any) bool {
		c.pendingUploads.Delete(key)
		upload := value.(begunUpload)
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

// PutBlob sends a blob that is most likely new to a repository, of whatever registry,
// unless this run has sent it there.
func (c *Client) PutBlob(ctx context.Context, repository name.Repository, content []byte) error {
	from := memoryOrigin{}
	blob, err := from.add(content, "")
	if err != nil {
		return err
	}
	t := transfer{client: c, repository: repository, from: from, assumeNew: true}
	return t.sendBlob(ctx, blob)
}

// tryBlob sends a blob, if the registry neither has it there nor can mount it from
// another repository, in one request or two.
// https://github.com/opencontainers/distribution-spec/blob/v1.1.1/spec.md#pushing-a-blob-monolithically
func (t *transfer) tryBlob(ctx context.Context, blob v1.Descriptor, mountFrom string) error {
	if t.askAll || blob.Size > largeBlob || blob.Size > smallBlob && !t.assumeNew {
		if has, err := t.hasBlob(ctx, blob.Digest); err != nil || has {
			return err
		}
	}
	if mountFrom == "" && blob.Size > smallBlob {
		if begun, ok := t.client.pendingUploads.LoadAndDelete(t.repository.Name()); ok {
			err := t.putBlob(ctx, begun.(begunUpload).location, blob)
			if !isRefusal(err) {
				return err
			}
			// The registry did not wait for the build.
		}
	}
	location, err := t.begin(ctx, blob, mountFrom)
	if err != nil || location == nil {
		return err
	}
	return t.putBlob(ctx, location, blob)
}

// hasBlob asks for a blob. Where the registry does not say, the blob is sent.
func (t *transfer) hasBlob(ctx context.Context, digest v1.Hash) (bool, error) {
	status, err := t.client.headBlob(ctx, t.repository, transport.PushScope, digest)
	return status == http.StatusOK, err
}

// Lost tells whether a repository says that it has not one of some blobs. Where it
// does not say, nothing is lost.
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

// headBlob asks for a blob and gives the status of the answer.
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

// begin begins an upload and says where to send the blob to: nil where the
// registry has it now, mounted from another repository or sent with the request.
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
		// Registries refuse in many ways what they need not know, such as a mount by
		// who may read what.
		return t.client.beginUpload(ctx, t.repository, nil, nil)
	}
	return location, err
}

// taken are the statuses with which registries say that they took what was sent: the
// specification has 201 and 202.
var taken = []int{http.StatusOK, http.StatusCreated, http.StatusAccepted, http.StatusNoContent}

// beginUpload asks for an upload, with a query and a body that may make one
// needless: location is nil then.
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
		return nil, fmt.Errorf("the registry answers %d, and says neither that the blob is there nor where to upload it to", response.StatusCode)
	}
	return location, err
}

// uploadLocation is where a registry wants what it was told of to be sent.
func uploadLocation(response *http.Response) (*url.URL, error) {
	said := response.Header.Get("Location")
	if upload := response.Header.Get("Docker-Upload-UUID"); said == "" && upload != "" {
		said = url.PathEscape(upload) // below /v2/NAME/blobs/uploads/
	}
	if said == "" {
		return nil, errors.New("the registry does not say where to upload to")
	}
	asked := response.Request.URL
	location, err := asked.Parse(said)
	if err != nil {
		return nil, fmt.Errorf("the registry says where to upload to: %w", err)
	}
	if asked.Scheme == "https" && location.Scheme == "http" {
		if location.Hostname() != asked.Hostname() {
			return nil, fmt.Errorf("%s sends the upload to %s without TLS: not followed", asked.Host, location.Host)
		}
		location.Scheme, location.Host = asked.Scheme, asked.Host // it does not know of the proxy before it
	}
	return location, nil
}

// putBlob ends an upload with all of a blob.
func (t *transfer) putBlob(ctx context.Context, location *url.URL, blob v1.Descriptor) error {
	to := *location
	// What the registry put into the query is its own: it is kept as it is.
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

// body gives a request a blob to send, which is opened each time that it is sent.
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

// lazyBody stands for the body of a request whose transport opens one anew each
// time it sends the request.
type lazyBody struct{}

func (lazyBody) Read([]byte) (int, error) {
	return 0, errors.New("a body is read that was not opened")
}
func (lazyBody) Close() error { return nil }

// tooLarge names what failed to be sent, and says what a limit is about.
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
			Doing: fmt.Sprintf("%s %s has %s", kind, sent.Digest, size),
			Err:   errors.New(oneLine(failure)),
			Fix:   "raise the limit of what the registry, or a proxy before it, takes",
		}
	}
	return fmt.Errorf("%s %s: %w", kind, sent.Digest, err)
}
