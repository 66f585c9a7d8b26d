package buildkit

import (
	"context"
	"errors"
	"io"
	"io/fs"

	api "github.com/containerd/containerd/api/services/content/v1"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"

	"github.com/libresh/libre/internal/oci/layout"
)

// storeHeader has the name of the layout that a request is for.
// https://github.com/moby/buildkit/blob/v0.34.2/session/content/attachable.go
const storeHeader = "buildkit-attachable-store-id"

// storePrefix comes before the name of a layout that a build reads.
const storePrefix = "oci:"

// layouts lets the daemon read blobs of OCI layouts by digest, as containerd's content service.
type layouts map[string]string

// Register implements session.Attachable.
func (l layouts) Register(s *grpc.Server) {
	api.RegisterContentServer(s, contents{layouts: l})
}

type contents struct {
	api.UnimplementedContentServer
	layouts layouts
}

// open opens the blob with a digest in the layout that the request names.
func (c contents) open(ctx context.Context, digest string) (fs.File, int64, error) {
	asked, _ := metadata.FromIncomingContext(ctx)
	for _, name := range asked[storeHeader] {
		dir, known := c.layouts[trimStore(name)]
		if !known {
			continue
		}
		hash, err := v1.NewHash(digest)
		if err != nil {
			return nil, 0, status.Error(codes.InvalidArgument, err.Error())
		}
		l, err := layout.Open(dir)
		if err != nil {
			return nil, 0, err
		}
		f, info, err := l.OpenBlob(hash)
		if errors.Is(err, fs.ErrNotExist) {
			return nil, 0, status.Error(codes.NotFound, err.Error())
		}
		if err != nil {
			return nil, 0, err
		}
		return f, info.Size(), nil
	}
	return nil, 0, status.Error(codes.NotFound, "no such layout")
}

func trimStore(name string) string {
	if len(name) > len(storePrefix) && name[:len(storePrefix)] == storePrefix {
		return name[len(storePrefix):]
	}
	return ""
}

// Info implements api.ContentServer.
func (c contents) Info(ctx context.Context, r *api.InfoRequest) (*api.InfoResponse, error) {
	f, size, err := c.open(ctx, r.Digest)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return &api.InfoResponse{Info: &api.Info{Digest: r.Digest, Size: size}}, nil
}

// Read implements api.ContentServer.
func (c contents) Read(r *api.ReadContentRequest, stream api.Content_ReadServer) error {
	f, size, err := c.open(stream.Context(), r.Digest)
	if err != nil {
		return err
	}
	defer f.Close()
	at := f.(io.ReaderAt) // a layout's blobs are files
	end := size
	if r.Size > 0 {
		end = min(size, r.Offset+r.Size)
	}
	if r.Offset < 0 || r.Offset > end {
		return status.Error(codes.OutOfRange, "the blob ends before")
	}
	buffer := make([]byte, 1<<20)
	for offset := r.Offset; offset < end; {
		n, err := at.ReadAt(buffer[:min(int64(len(buffer)), end-offset)], offset)
		if n == 0 && err != nil {
			return err
		}
		if err := stream.Send(&api.ReadContentResponse{Offset: offset, Data: buffer[:n]}); err != nil {
			return err
		}
		offset += int64(n)
	}
	return nil
}
