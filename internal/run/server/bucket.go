package server

import (
	"context"
	"fmt"

	"github.com/rclone/gofakes3"

	"github.com/libresh/libre/internal/fault"
	"github.com/libresh/libre/internal/run/objects"
)

// bucket is the name of the app's bucket.
const bucket = "files"

// startBucket starts an S3 server with one bucket, which answers to the app's keys alone.
func startBucket(_ context.Context, o Options) (*Server, error) {
	store, err := objects.Open(o.Data, bucket, o.Need.Versioning)
	if err != nil {
		return nil, &fault.Fault{Err: err, Fix: "remove the folder, or give another --name"}
	}
	access, secret := o.Secret("accessKey"), o.Secret("secretKey")
	api := gofakes3.New(store, gofakes3.WithV4Auth(map[string]string{access: secret})).Server()
	socket, end, err := o.listen(api)
	if err != nil {
		store.Close()
		return nil, err
	}
	return &Server{
		What: "part of libre", Socket: socket, Site: api, Close: func() { end(); store.Close() },
		Parts: map[string]string{
			"endpoint": fmt.Sprintf("http://%s:%d", o.Host, o.Port), "region": "us-east-1", "name": bucket, "accessKey": access, "secretKey": secret,
		},
	}, nil
}
