// ltxgen runs the reference LTX package (github.com/superfly/ltx) on behalf of walrust's tests: it makes fixtures and
// reads what walrust wrote. It prints JSON where there is something to say.
//
//	ltxgen diff -min N -max N [-from OLD.db] [-no-checksum] [-time MS] [-o OUT] NEW.db
//	    a snapshot of NEW.db, or with -from the pages that turn OLD.db into NEW.db
//	ltxgen delete -min N -max N -from OLD.db -time MS -o OUT
//	    the file that empties OLD.db
//	ltxgen sparse -page-size N -commit N -min N -max N -time MS -o OUT PAGE...
//	    an incremental file of made-up pages of those numbers, for places no small database reaches
//	ltxgen frames [-content-size] [-block-checksum] -o OUT IN.ltx
//	    the same file as Litestream before 0.5.16 would have written it: an LZ4 frame for each page
//	ltxgen compact [-no-checksum] -o OUT IN...
//	    the reference compactor
//	ltxgen read IN
//	    header, page numbers with the CRC of each page, trailer, index, as JSON
package main

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"hash/crc64"
	"io"
	"os"
	"strconv"

	"github.com/pierrec/lz4/v4"
	"github.com/superfly/ltx"
)

func main() {
	if err := run(os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ltxgen:", err)
		os.Exit(1)
	}
}

type options struct {
	min, max, time   uint64
	pageSize, commit uint
	from, out        string
	noChecksum       bool
	contentSize      bool
	blockChecksum    bool
	args             []string
}

func run(args []string) error {
	if len(args) == 0 {
		return errors.New("no command")
	}
	var o options
	fs := flag.NewFlagSet(args[0], flag.ContinueOnError)
	fs.Uint64Var(&o.min, "min", 1, "first TXID")
	fs.Uint64Var(&o.max, "max", 1, "last TXID")
	fs.Uint64Var(&o.time, "time", 0, "timestamp in milliseconds")
	fs.UintVar(&o.pageSize, "page-size", 4096, "bytes")
	fs.UintVar(&o.commit, "commit", 0, "pages")
	fs.StringVar(&o.from, "from", "", "database before")
	fs.StringVar(&o.out, "o", "", "output")
	fs.BoolVar(&o.noChecksum, "no-checksum", false, "do not track database checksums")
	fs.BoolVar(&o.contentSize, "content-size", false, "state the content size in each LZ4 frame")
	fs.BoolVar(&o.blockChecksum, "block-checksum", false, "give each LZ4 block a checksum")
	if err := fs.Parse(args[1:]); err != nil {
		return err
	}
	o.args = fs.Args()

	switch args[0] {
	case "diff":
		return diff(o)
	case "delete":
		return remove(o)
	case "sparse":
		return sparse(o)
	case "frames":
		return frames(o)
	case "compact":
		return compact(o)
	case "read":
		return read(o)
	}
	return fmt.Errorf("unknown command %q", args[0])
}

func (o options) header(pageSize, commit uint32, pre ltx.Checksum) ltx.Header {
	h := ltx.Header{
		Version:   ltx.Version,
		PageSize:  pageSize,
		Commit:    commit,
		MinTXID:   ltx.TXID(o.min),
		MaxTXID:   ltx.TXID(o.max),
		Timestamp: int64(o.time),
	}
	if o.noChecksum {
		h.Flags = ltx.HeaderFlagNoChecksum
	} else {
		h.PreApplyChecksum = pre
	}
	return h
}

func pageSizeOf(db []byte) (uint32, error) {
	if len(db) < 100 {
		return 0, errors.New("not a database")
	}
	size := uint32(binary.BigEndian.Uint16(db[16:]))
	if size == 1 {
		size = 65536
	}
	return size, nil
}

func pageOf(db []byte, size, page uint32) []byte {
	end := int(page) * int(size)
	if end > len(db) {
		return nil
	}
	return db[end-int(size) : end]
}

func checksum(db []byte, size uint32) (ltx.Checksum, error) {
	if len(db) == 0 {
		return ltx.ChecksumFlag, nil
	}
	return ltx.ChecksumReader(bytes.NewReader(db), int(size))
}

// encode writes the file whole or not at all.
func encode(out string, h ltx.Header, post ltx.Checksum, pages []ltx.PageSpec) error {
	spec := ltx.FileSpec{Header: h, Pages: pages}
	if h.Flags&ltx.HeaderFlagNoChecksum == 0 {
		spec.Trailer.PostApplyChecksum = post
	}
	var b bytes.Buffer
	if _, err := spec.WriteTo(&b); err != nil {
		return err
	}
	return os.WriteFile(out, b.Bytes(), 0o644)
}

func diff(o options) error {
	if len(o.args) != 1 {
		return errors.New("diff needs one database")
	}
	db, err := os.ReadFile(o.args[0])
	if err != nil {
		return err
	}
	size, err := pageSizeOf(db)
	if err != nil {
		return err
	}
	var old []byte
	var pre ltx.Checksum
	if o.from != "" {
		if old, err = os.ReadFile(o.from); err != nil {
			return err
		} else if pre, err = checksum(old, size); err != nil {
			return err
		}
	}
	post, err := checksum(db, size)
	if err != nil {
		return err
	}
	commit := uint32(len(db) / int(size))
	var pages []ltx.PageSpec
	for page := uint32(1); page <= commit; page++ {
		data := pageOf(db, size, page)
		if page == ltx.LockPgno(size) || bytes.Equal(data, pageOf(old, size, page)) {
			continue
		}
		pages = append(pages, ltx.PageSpec{Header: ltx.PageHeader{Pgno: page}, Data: data})
	}
	return encode(o.out, o.header(size, commit, pre), post, pages)
}

func remove(o options) error {
	old, err := os.ReadFile(o.from)
	if err != nil {
		return err
	}
	size, err := pageSizeOf(old)
	if err != nil {
		return err
	}
	pre, err := checksum(old, size)
	if err != nil {
		return err
	}
	return encode(o.out, o.header(size, 0, pre), ltx.ChecksumFlag, nil)
}

// Pages of which the place of every byte is recognisable, so that a test can make the same.
func sparsePage(page uint32, size uint) []byte {
	data := make([]byte, size)
	for i := range data {
		data[i] = byte(uint32(i)*7 + uint32(i>>8)*13 + page)
	}
	return data
}

func sparse(o options) error {
	var pages []ltx.PageSpec
	for _, arg := range o.args {
		page, err := strconv.ParseUint(arg, 10, 32)
		if err != nil {
			return err
		}
		pages = append(pages, ltx.PageSpec{
			Header: ltx.PageHeader{Pgno: uint32(page)},
			Data:   sparsePage(uint32(page), o.pageSize),
		})
	}
	h := o.header(uint32(o.pageSize), uint32(o.commit), ltx.ChecksumFlag|0x1234)
	return encode(o.out, h, ltx.ChecksumFlag|0x5678, pages)
}

func compact(o options) error {
	var inputs []io.Reader
	for _, arg := range o.args {
		b, err := os.ReadFile(arg)
		if err != nil {
			return err
		}
		inputs = append(inputs, bytes.NewReader(b))
	}
	var out bytes.Buffer
	c, err := ltx.NewCompactor(&out, inputs)
	if err != nil {
		return err
	}
	if o.noChecksum {
		c.HeaderFlags = ltx.HeaderFlagNoChecksum
	}
	if err := c.Compact(context.Background()); err != nil {
		return err
	}
	return os.WriteFile(o.out, out.Bytes(), 0o644)
}

// frames puts the file together by itself, because the reference package reads LZ4 frames but writes blocks only.
func frames(o options) error {
	if len(o.args) != 1 {
		return errors.New("frames needs one file")
	}
	in, err := os.ReadFile(o.args[0])
	if err != nil {
		return err
	}
	var spec ltx.FileSpec
	if _, err := spec.ReadFrom(bytes.NewReader(in)); err != nil {
		return err
	}
	hash := crc64.New(crc64.MakeTable(crc64.ISO))
	out := append([]byte(nil), in[:ltx.HeaderSize]...)
	hash.Write(out)
	var index []byte
	for _, page := range spec.Pages {
		start := len(out)
		head := binary.BigEndian.AppendUint32(nil, page.Header.Pgno)
		head = append(head, 0, 0)
		hash.Write(head)
		hash.Write(page.Data)
		frame, err := frame(page.Data, o)
		if err != nil {
			return err
		}
		out = append(append(out, head...), frame...)
		index = binary.AppendUvarint(index, uint64(page.Header.Pgno))
		index = binary.AppendUvarint(index, uint64(start))
		index = binary.AppendUvarint(index, uint64(len(out)-start))
	}
	index = append(index, 0)
	tail := append(make([]byte, ltx.PageHeaderSize), index...)
	tail = binary.BigEndian.AppendUint64(tail, uint64(len(index)))
	tail = binary.BigEndian.AppendUint64(tail, uint64(spec.Trailer.PostApplyChecksum))
	hash.Write(tail)
	tail = binary.BigEndian.AppendUint64(tail, hash.Sum64()|uint64(ltx.ChecksumFlag))
	out = append(out, tail...)
	if err := ltx.NewDecoder(bytes.NewReader(out)).Verify(); err != nil {
		return fmt.Errorf("the reference does not accept it: %w", err)
	}
	return os.WriteFile(o.out, out, 0o644)
}

func frame(data []byte, o options) ([]byte, error) {
	var b bytes.Buffer
	zw := lz4.NewWriter(&b)
	opts := []lz4.Option{lz4.BlockChecksumOption(o.blockChecksum), lz4.BlockSizeOption(lz4.Block64Kb)}
	if o.contentSize {
		opts = append(opts, lz4.SizeOption(uint64(len(data))))
	}
	if err := zw.Apply(opts...); err != nil {
		return nil, err
	}
	if _, err := zw.Write(data); err != nil {
		return nil, err
	}
	if err := zw.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func read(o options) error {
	if len(o.args) != 1 {
		return errors.New("read needs one file")
	}
	f, err := os.Open(o.args[0])
	if err != nil {
		return err
	}
	defer f.Close()
	dec := ltx.NewDecoder(f)
	if err := dec.DecodeHeader(); err != nil {
		return err
	}
	h := dec.Header()
	type pageInfo struct {
		Page     uint32 `json:"page"`
		Checksum string `json:"checksum"`
		Offset   int64  `json:"offset"`
		Size     int64  `json:"size"`
	}
	pages := []pageInfo{}
	data := make([]byte, h.PageSize)
	for {
		var head ltx.PageHeader
		if err := dec.DecodePage(&head, data); err == io.EOF {
			break
		} else if err != nil {
			return err
		}
		pages = append(pages, pageInfo{Page: head.Pgno, Checksum: ltx.ChecksumPage(head.Pgno, data).String()})
	}
	if err := dec.Close(); err != nil {
		return err
	}
	for i, page := range pages {
		elem := dec.PageIndex()[page.Page]
		pages[i].Offset, pages[i].Size = elem.Offset, elem.Size
	}
	return json.NewEncoder(os.Stdout).Encode(map[string]any{
		"flags": h.Flags, "pageSize": h.PageSize, "commit": h.Commit,
		"minTxid": uint64(h.MinTXID), "maxTxid": uint64(h.MaxTXID), "timestamp": h.Timestamp,
		"pre": h.PreApplyChecksum, "walOffset": h.WALOffset, "walSize": h.WALSize,
		"walSalt1": h.WALSalt1, "walSalt2": h.WALSalt2, "nodeId": strconv.FormatUint(h.NodeID, 10),
		"post": dec.Trailer().PostApplyChecksum, "fileChecksum": dec.Trailer().FileChecksum,
		"pages": pages,
	})
}
