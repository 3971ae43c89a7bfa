;; The inner loops of walrust: CRC-64/ISO over pages and files, the SQLite WAL checksum over frames, and LZ4 blocks.
;;
;; Memory map (offsets are exported as globals so that TypeScript never repeats a number):
;;       0    8 bytes    CRC register, not yet inverted
;;       8    8 bytes    WAL checksum, s1 then s2
;;      16    8 bytes    result of the page checksums: high word, then low word
;;      24    4 bytes    a word to turn round
;;    8192    8 KiB      positions seen by $lz4_compress, 4096 of 16 bits
;;   65536  128 KiB      what $scan found, 16 bytes a frame: page, commit size, checksum high, checksum low
;;  196608    1 MiB      bytes for callers to work on (plus room for one more frame of the largest page)
;; 1310720   64 KiB      bytes from elsewhere, copied in to be hashed
;; 1376256   64 KiB      one page, and room to run over its end in steps of 16 bytes
;; 1445888   66 KiB      one page frame of an LTX file, with the same room
;;
;; The memory never grows, so views of it stay good. Everything is little-endian inside; what lies big-endian in a
;; file is turned by $be32.
(module
  (memory (export "memory") 24 24)

  (global (export "REGISTER") i32 (i32.const 0))
  (global (export "WAL_SUM") i32 (i32.const 8))
  (global (export "RESULT") i32 (i32.const 16))
  (global (export "ENTRIES") i32 (i32.const 65536))
  (global (export "ENTRY_CAPACITY") i32 (i32.const 8192))
  (global (export "BUFFER") i32 (i32.const 196608))
  (global (export "BUFFER_SIZE") i32 (i32.const 1114112))
  (global (export "STAGE") i32 (i32.const 1310720))
  (global (export "STAGE_SIZE") i32 (i32.const 65536))
  (global (export "PAGE") i32 (i32.const 1376256))
  (global (export "PAGE_SIZE") i32 (i32.const 65536))
  (global (export "FRAME") i32 (i32.const 1445888))
  (global (export "FRAME_SIZE") i32 (i32.const 67584))

  ;; x^(8 * $shift_length) of the CRC's field, see $shift_for.
  (global $shift (mut i64) (i64.const 0))
  (global $shift_length (mut i32) (i32.const 0))

  (func $be32 (param $at i32) (result i32)
    (local $v i32)
    (local.set $v (i32.load (local.get $at)))
    (i32.or
      (i32.rotl (i32.and (local.get $v) (i32.const 0xff00ff00)) (i32.const 8))
      (i32.rotl (i32.and (local.get $v) (i32.const 0x00ff00ff)) (i32.const 24))))

  ;; CRC-64/ISO is x^64 + x^4 + x^3 + x + 1, registers reflected: x^0 is the top bit, and multiplying by x^n shifts
  ;; right by n. What falls off the right end is multiplied by x^64 = x^4 + x^3 + x + 1 and comes back at the top. Of
  ;; fewer than 60 bits, already moved to the top of $w, nothing falls off again.
  (func $fold_top (param $w i64) (result i64)
    (i64.xor
      (i64.xor (local.get $w) (i64.shr_u (local.get $w) (i64.const 1)))
      (i64.xor (i64.shr_u (local.get $w) (i64.const 3)) (i64.shr_u (local.get $w) (i64.const 4)))))

  ;; Multiply by x^64 and reduce: what eight zero bytes would do to the register.
  (func $fold64 (param $v i64) (result i64)
    (i64.xor
      (i64.xor
        (i64.xor (local.get $v) (i64.shr_u (local.get $v) (i64.const 1)))
        (i64.xor (i64.shr_u (local.get $v) (i64.const 3)) (i64.shr_u (local.get $v) (i64.const 4))))
      (call $fold_top
        (i64.xor
          (i64.shl (local.get $v) (i64.const 63))
          (i64.xor (i64.shl (local.get $v) (i64.const 61)) (i64.shl (local.get $v) (i64.const 60)))))))

  ;; Multiply both lanes by x^256 = (x^64)^4 = x^16 + x^12 + x^4 + 1 and reduce.
  (func $fold256 (param $v v128) (result v128)
    (local $lost v128)
    (local.set $lost
      (v128.xor
        (i64x2.shl (local.get $v) (i32.const 60))
        (v128.xor (i64x2.shl (local.get $v) (i32.const 52)) (i64x2.shl (local.get $v) (i32.const 48)))))
    (v128.xor
      (v128.xor
        (v128.xor (local.get $v) (i64x2.shr_u (local.get $v) (i32.const 4)))
        (v128.xor (i64x2.shr_u (local.get $v) (i32.const 12)) (i64x2.shr_u (local.get $v) (i32.const 16))))
      (v128.xor
        (v128.xor (local.get $lost) (i64x2.shr_u (local.get $lost) (i32.const 1)))
        (v128.xor (i64x2.shr_u (local.get $lost) (i32.const 3)) (i64x2.shr_u (local.get $lost) (i32.const 4))))))

  ;; One register step for four bytes.
  (func $crc_word (param $c i64) (param $word i32) (result i64)
    (local.set $c (i64.xor (local.get $c) (i64.extend_i32_u (local.get $word))))
    (i64.xor
      (i64.shr_u (local.get $c) (i64.const 32))
      (call $fold_top (i64.shl (local.get $c) (i64.const 32)))))

  ;; The register after $len bytes at $at. One word after the other would be one long chain of dependent
  ;; instructions; so four words are carried side by side, each jumping over the other three.
  (func $crc_run (param $c i64) (param $at i32) (param $len i32) (result i64)
    (local $end i32) (local $a v128) (local $b v128)
    (if (i32.ge_u (local.get $len) (i32.const 64))
      (then
        (local.set $end (i32.add (local.get $at) (i32.and (local.get $len) (i32.const 0xffffffe0))))
        (local.set $a
          (v128.xor (v128.load (local.get $at)) (i64x2.replace_lane 0 (v128.const i64x2 0 0) (local.get $c))))
        (local.set $b (v128.load offset=16 (local.get $at)))
        (local.set $at (i32.add (local.get $at) (i32.const 32)))
        (loop $next
          (local.set $a (v128.xor (call $fold256 (local.get $a)) (v128.load (local.get $at))))
          (local.set $b (v128.xor (call $fold256 (local.get $b)) (v128.load offset=16 (local.get $at))))
          (local.set $at (i32.add (local.get $at) (i32.const 32)))
          (br_if $next (i32.lt_u (local.get $at) (local.get $end))))
        (local.set $c (call $fold64 (i64x2.extract_lane 0 (local.get $a))))
        (local.set $c (call $fold64 (i64.xor (local.get $c) (i64x2.extract_lane 1 (local.get $a)))))
        (local.set $c (call $fold64 (i64.xor (local.get $c) (i64x2.extract_lane 0 (local.get $b)))))
        (local.set $c (call $fold64 (i64.xor (local.get $c) (i64x2.extract_lane 1 (local.get $b)))))
        (local.set $len (i32.and (local.get $len) (i32.const 31)))))
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $len) (i32.const 0xfffffff8))))
    (block $words_done
      (loop $words
        (br_if $words_done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $c (call $fold64 (i64.xor (local.get $c) (i64.load (local.get $at)))))
        (local.set $at (i32.add (local.get $at) (i32.const 8)))
        (br $words)))
    (local.set $end (i32.add (local.get $at) (i32.and (local.get $len) (i32.const 7))))
    (block $bytes_done
      (loop $bytes
        (br_if $bytes_done (i32.ge_u (local.get $at) (local.get $end)))
        (local.set $c (i64.xor (local.get $c) (i64.load8_u (local.get $at))))
        (local.set $c
          (i64.xor
            (i64.shr_u (local.get $c) (i64.const 8))
            (call $fold_top (i64.shl (local.get $c) (i64.const 56)))))
        (local.set $at (i32.add (local.get $at) (i32.const 1)))
        (br $bytes)))
    (local.get $c))

  ;; Carry the register on over $len bytes at $at.
  (func (export "crc") (param $at i32) (param $len i32)
    (i64.store (i32.const 0) (call $crc_run (i64.load (i32.const 0)) (local.get $at) (local.get $len))))

  ;; The register of a page checksum before the page's bytes: its big-endian number has gone in.
  (func $page_start (param $page i32) (result i64)
    (i32.store (i32.const 24) (local.get $page))
    (call $crc_word (i64.const -1) (call $be32 (i32.const 24))))

  ;; From the register behind a page to its checksum at $out: inverted, top bit forced on, high word first.
  (func $page_end (param $c i64) (param $out i32)
    (local.set $c (i64.xor (local.get $c) (i64.const -1)))
    (i32.store (local.get $out) (i32.or (i32.wrap_i64 (i64.shr_u (local.get $c) (i64.const 32))) (i32.const 0x80000000)))
    (i32.store offset=4 (local.get $out) (i32.wrap_i64 (local.get $c))))

  ;; Checksum of one page: big-endian page number, then its bytes. Writes two words to $out.
  (func $page_checksum (export "page_checksum") (param $page i32) (param $at i32) (param $len i32) (param $out i32)
    (call $page_end
      (call $crc_run (call $page_start (local.get $page)) (local.get $at) (local.get $len))
      (local.get $out)))

  ;; Product of two registers.
  (func $multiply (param $a i64) (param $b i64) (result i64)
    (local $product i64)
    (block $done
      (loop $next
        (br_if $done (i64.eqz (local.get $b)))
        ;; A mask of all ones where the top bit of $b, the next power of x, is set.
        (local.set $product
          (i64.xor (local.get $product) (i64.and (local.get $a) (i64.shr_s (local.get $b) (i64.const 63)))))
        (local.set $b (i64.shl (local.get $b) (i64.const 1)))
        (local.set $a
          (i64.xor
            (i64.shr_u (local.get $a) (i64.const 1))
            (i64.and
              (i64.const 0xd800000000000000)
              (i64.sub (i64.const 0) (i64.and (local.get $a) (i64.const 1))))))
        (br $next)))
    (local.get $product))

  ;; What multiplies a register by as much as $len zero bytes would; $len is a power of two from 8.
  (func $shift_for (param $len i32) (result i64)
    (local $n i32) (local $x i64)
    (if (i32.ne (global.get $shift_length) (local.get $len))
      (then
        (local.set $x (call $fold64 (i64.const 0x8000000000000000)))
        (local.set $n (i32.const 8))
        (block $done
          (loop $next
            (br_if $done (i32.ge_u (local.get $n) (local.get $len)))
            (local.set $x (call $multiply (local.get $x) (local.get $x)))
            (local.set $n (i32.shl (local.get $n) (i32.const 1)))
            (br $next)))
        (global.set $shift (local.get $x))
        (global.set $shift_length (local.get $len))))
    (global.get $shift))

  ;; Carry the register on over a page and compute the page's checksum as well, reading the page once: two registers
  ;; that differ by d before the same n bytes differ by d * x^(8n) behind them.
  (func (export "crc_page") (param $page i32) (param $at i32) (param $len i32)
    (local $before i64) (local $after i64)
    (local.set $before (i64.load (i32.const 0)))
    (local.set $after (call $crc_run (local.get $before) (local.get $at) (local.get $len)))
    (i64.store (i32.const 0) (local.get $after))
    (call $page_end
      (i64.xor
        (local.get $after)
        (call $multiply
          (i64.xor (local.get $before) (call $page_start (local.get $page)))
          (call $shift_for (local.get $len))))
      (i32.const 16)))

  ;; Carry the WAL checksum at WAL_SUM on over $len bytes (a multiple of 8). $big: words are big-endian.
  (func $wal_sum (export "wal_sum") (param $at i32) (param $len i32) (param $big i32)
    (local $end i32) (local $a i32) (local $b i32)
    (local.set $a (i32.load (i32.const 8)))
    (local.set $b (i32.load (i32.const 12)))
    (local.set $end (i32.add (local.get $at) (local.get $len)))
    (if (local.get $big)
      (then
        (block $done
          (loop $next
            (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $a (i32.add (i32.add (local.get $a) (call $be32 (local.get $at))) (local.get $b)))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (local.set $b (i32.add (i32.add (local.get $b) (call $be32 (local.get $at))) (local.get $a)))
            (local.set $at (i32.add (local.get $at) (i32.const 4)))
            (br $next))))
      (else
        (block $done
          (loop $next
            (br_if $done (i32.ge_u (local.get $at) (local.get $end)))
            (local.set $a (i32.add (i32.add (local.get $a) (i32.load (local.get $at))) (local.get $b)))
            (local.set $b (i32.add (i32.add (local.get $b) (i32.load offset=4 (local.get $at))) (local.get $a)))
            (local.set $at (i32.add (local.get $at) (i32.const 8)))
            (br $next)))))
    (i32.store (i32.const 8) (local.get $a))
    (i32.store (i32.const 12) (local.get $b)))

  ;; Verify up to $count frames that lie one behind the other at $at. A frame counts if its salts are the given
  ;; ones, its page number is not zero and its running checksum matches; the first that fails ends the scan and leaves
  ;; WAL_SUM at the last good one. Returns how many were good; their entries lie at ENTRIES.
  (func (export "scan") (param $at i32) (param $count i32) (param $page_size i32)
                        (param $salt1 i32) (param $salt2 i32) (param $big i32) (result i32)
    (local $n i32) (local $out i32) (local $s1 i32) (local $s2 i32)
    (local.set $out (i32.const 65536))
    (block $done
      (loop $next
        (br_if $done (i32.ge_u (local.get $n) (local.get $count)))
        (br_if $done (i32.ne (call $be32 (i32.add (local.get $at) (i32.const 8))) (local.get $salt1)))
        (br_if $done (i32.ne (call $be32 (i32.add (local.get $at) (i32.const 12))) (local.get $salt2)))
        (br_if $done (i32.eqz (i32.load (local.get $at))))
        (local.set $s1 (i32.load (i32.const 8)))
        (local.set $s2 (i32.load (i32.const 12)))
        (call $wal_sum (local.get $at) (i32.const 8) (local.get $big))
        (call $wal_sum (i32.add (local.get $at) (i32.const 24)) (local.get $page_size) (local.get $big))
        (if (i32.or
              (i32.ne (i32.load (i32.const 8)) (call $be32 (i32.add (local.get $at) (i32.const 16))))
              (i32.ne (i32.load (i32.const 12)) (call $be32 (i32.add (local.get $at) (i32.const 20)))))
          (then
            (i32.store (i32.const 8) (local.get $s1))
            (i32.store (i32.const 12) (local.get $s2))
            (br $done)))
        (i32.store (local.get $out) (call $be32 (local.get $at)))
        (i32.store offset=4 (local.get $out) (call $be32 (i32.add (local.get $at) (i32.const 4))))
        (call $page_checksum
          (i32.load (local.get $out))
          (i32.add (local.get $at) (i32.const 24))
          (local.get $page_size)
          (i32.add (local.get $out) (i32.const 8)))
        (local.set $out (i32.add (local.get $out) (i32.const 16)))
        (local.set $at (i32.add (local.get $at) (i32.add (local.get $page_size) (i32.const 24))))
        (local.set $n (i32.add (local.get $n) (i32.const 1)))
        (br $next)))
    (local.get $n))

  ;; Copy $len bytes in steps of 16, at least one; up to 16 bytes behind the target may change. For what does not overlap.
  (func $copy16 (param $to i32) (param $from i32) (param $len i32)
    (local $end i32)
    (local.set $end (i32.add (local.get $to) (local.get $len)))
    (loop $next
      (v128.store (local.get $to) (v128.load (local.get $from)))
      (local.set $to (i32.add (local.get $to) (i32.const 16)))
      (local.set $from (i32.add (local.get $from) (i32.const 16)))
      (br_if $next (i32.lt_u (local.get $to) (local.get $end)))))

  ;; Write the part of a length that does not fit into its half of a token; the offset behind it.
  (func $lz4_length (param $out i32) (param $rest i32) (result i32)
    (block $done
      (loop $next
        (br_if $done (i32.lt_u (local.get $rest) (i32.const 255)))
        (i32.store8 (local.get $out) (i32.const 255))
        (local.set $out (i32.add (local.get $out) (i32.const 1)))
        (local.set $rest (i32.sub (local.get $rest) (i32.const 255)))
        (br $next)))
    (i32.store8 (local.get $out) (local.get $rest))
    (i32.add (local.get $out) (i32.const 1)))

  ;; Write a token and its literals; $match is the lower half of the token. The offset behind them.
  (func $lz4_literals (param $out i32) (param $from i32) (param $len i32) (param $match i32) (result i32)
    (local $next i32)
    (local.set $next (i32.add (local.get $out) (i32.const 1)))
    (if (i32.ge_u (local.get $len) (i32.const 15))
      (then
        (i32.store8 (local.get $out) (i32.or (i32.const 0xf0) (local.get $match)))
        (local.set $next (call $lz4_length (local.get $next) (i32.sub (local.get $len) (i32.const 15)))))
      (else
        (i32.store8 (local.get $out) (i32.or (i32.shl (local.get $len) (i32.const 4)) (local.get $match)))))
    (call $copy16 (local.get $next) (local.get $from) (local.get $len))
    (i32.add (local.get $next) (local.get $len)))

  ;; Compress up to 64 KiB at $at into one LZ4 block at $out; the size of the block. At least
  ;; $len + $len / 255 + 16 bytes must be free there, and 16 more to run over.
  ;; Positions fit into 16 bits because no input is longer, so a match is never too far back either.
  (func (export "lz4_compress") (param $at i32) (param $len i32) (param $out i32) (result i32)
    (local $start i32) (local $ip i32) (local $anchor i32) (local $end i32) (local $last_start i32) (local $last_byte i32)
    (local $slot i32) (local $match i32) (local $misses i32) (local $p i32) (local $q i32) (local $diff i64) (local $size i32)
    (local.set $start (local.get $out))
    (local.set $anchor (local.get $at))
    (local.set $ip (i32.add (local.get $at) (i32.const 1)))
    (local.set $end (i32.add (local.get $at) (local.get $len)))
    ;; The format's end rules: no match starts in the last 12 bytes, and the last 5 are literals.
    (local.set $last_start (i32.sub (local.get $end) (i32.const 12)))
    (local.set $last_byte (i32.sub (local.get $end) (i32.const 5)))
    (memory.fill (i32.const 8192) (i32.const 0) (i32.const 8192))
    (block $rest
      (br_if $rest (i32.lt_u (local.get $len) (i32.const 13)))
      (loop $sequence
        ;; Find four bytes that were there before, by the five from there: each of 4096 places remembers, in two
        ;; bytes, where its five were seen last. The longer nothing is found, the longer the steps. The place is
        ;; computed here and not in a function of its own because a call costs a third of the speed.
        (local.set $misses (i32.const 64))
        (block $found
          (loop $search
            (br_if $rest (i32.gt_u (local.get $ip) (local.get $last_start)))
            (local.set $slot (i32.add
              (i32.const 8192)
              (i32.shl
                (i32.wrap_i64
                  (i64.shr_u
                    (i64.mul (i64.shl (i64.load (local.get $ip)) (i64.const 24)) (i64.const 0x9e3779b97f4a7c15))
                    (i64.const 52)))
                (i32.const 1))))
            (local.set $match (i32.add (local.get $at) (i32.load16_u (local.get $slot))))
            (i32.store16 (local.get $slot) (i32.sub (local.get $ip) (local.get $at)))
            (br_if $found (i32.eq (i32.load (local.get $match)) (i32.load (local.get $ip))))
            (local.set $ip (i32.add (local.get $ip) (i32.shr_u (local.get $misses) (i32.const 6))))
            (local.set $misses (i32.add (local.get $misses) (i32.const 1)))
            (br $search)))
        (block $back_done
          (loop $back
            (br_if $back_done (i32.le_u (local.get $ip) (local.get $anchor)))
            (br_if $back_done (i32.le_u (local.get $match) (local.get $at)))
            (br_if $back_done
              (i32.ne
                (i32.load8_u (i32.sub (local.get $ip) (i32.const 1)))
                (i32.load8_u (i32.sub (local.get $match) (i32.const 1)))))
            (local.set $ip (i32.sub (local.get $ip) (i32.const 1)))
            (local.set $match (i32.sub (local.get $match) (i32.const 1)))
            (br $back)))
        (local.set $p (i32.add (local.get $ip) (i32.const 4)))
        (local.set $q (i32.add (local.get $match) (i32.const 4)))
        (block $differ
          (block $near_end
            (loop $words
              (br_if $near_end (i32.gt_u (i32.add (local.get $p) (i32.const 8)) (local.get $last_byte)))
              (local.set $diff (i64.xor (i64.load (local.get $p)) (i64.load (local.get $q))))
              (if (i64.ne (local.get $diff) (i64.const 0))
                (then
                  (local.set $p
                    (i32.add (local.get $p) (i32.shr_u (i32.wrap_i64 (i64.ctz (local.get $diff))) (i32.const 3))))
                  (br $differ)))
              (local.set $p (i32.add (local.get $p) (i32.const 8)))
              (local.set $q (i32.add (local.get $q) (i32.const 8)))
              (br $words)))
          (loop $bytes
            (br_if $differ (i32.ge_u (local.get $p) (local.get $last_byte)))
            (br_if $differ (i32.ne (i32.load8_u (local.get $p)) (i32.load8_u (local.get $q))))
            (local.set $p (i32.add (local.get $p) (i32.const 1)))
            (local.set $q (i32.add (local.get $q) (i32.const 1)))
            (br $bytes)))
        (local.set $size (i32.sub (i32.sub (local.get $p) (local.get $ip)) (i32.const 4)))
        (local.set $out
          (call $lz4_literals
            (local.get $out)
            (local.get $anchor)
            (i32.sub (local.get $ip) (local.get $anchor))
            (select (local.get $size) (i32.const 15) (i32.lt_u (local.get $size) (i32.const 15)))))
        (i32.store16 (local.get $out) (i32.sub (local.get $ip) (local.get $match)))
        (local.set $out (i32.add (local.get $out) (i32.const 2)))
        (if (i32.ge_u (local.get $size) (i32.const 15))
          (then (local.set $out (call $lz4_length (local.get $out) (i32.sub (local.get $size) (i32.const 15))))))
        (local.set $ip (local.get $p))
        (local.set $anchor (local.get $p))
        (br_if $rest (i32.gt_u (local.get $ip) (local.get $last_start)))
        (br $sequence)))
    (i32.sub
      (call $lz4_literals (local.get $out) (local.get $anchor) (i32.sub (local.get $end) (local.get $anchor)) (i32.const 0))
      (local.get $start)))

  ;; Inflate the LZ4 block of $len bytes at $from into exactly $size bytes at $to; 0 if it is not such a block.
  ;; Every length and distance is checked before it is used, and nothing but $to and 16 bytes behind it is touched.
  (func (export "lz4_inflate") (param $from i32) (param $len i32) (param $to i32) (param $size i32) (result i32)
    (local $end i32) (local $out i32) (local $out_end i32)
    (local $token i32) (local $n i32) (local $byte i32) (local $distance i32) (local $step i32)
    (local.set $end (i32.add (local.get $from) (local.get $len)))
    (local.set $out (local.get $to))
    (local.set $out_end (i32.add (local.get $to) (local.get $size)))
    (loop $sequence
      (if (i32.ge_u (local.get $from) (local.get $end)) (then (return (i32.const 0))))
      (local.set $token (i32.load8_u (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 1)))

      (local.set $n (i32.shr_u (local.get $token) (i32.const 4)))
      (if (i32.eq (local.get $n) (i32.const 15))
        (then
          (loop $more
            (if (i32.ge_u (local.get $from) (local.get $end)) (then (return (i32.const 0))))
            (local.set $byte (i32.load8_u (local.get $from)))
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (local.set $n (i32.add (local.get $n) (local.get $byte)))
            (br_if $more (i32.eq (local.get $byte) (i32.const 255))))))
      (if (i32.or
            (i32.gt_u (local.get $n) (i32.sub (local.get $end) (local.get $from)))
            (i32.gt_u (local.get $n) (i32.sub (local.get $out_end) (local.get $out))))
        (then (return (i32.const 0))))
      (call $copy16 (local.get $out) (local.get $from) (local.get $n))
      (local.set $out (i32.add (local.get $out) (local.get $n)))
      (local.set $from (i32.add (local.get $from) (local.get $n)))
      ;; A block ends with literals, and must have filled the page then.
      (if (i32.eq (local.get $from) (local.get $end))
        (then (return (i32.eq (local.get $out) (local.get $out_end)))))

      (if (i32.lt_u (i32.sub (local.get $end) (local.get $from)) (i32.const 2)) (then (return (i32.const 0))))
      (local.set $distance (i32.load16_u (local.get $from)))
      (local.set $from (i32.add (local.get $from) (i32.const 2)))
      (if (i32.or
            (i32.eqz (local.get $distance))
            (i32.gt_u (local.get $distance) (i32.sub (local.get $out) (local.get $to))))
        (then (return (i32.const 0))))
      (local.set $n (i32.and (local.get $token) (i32.const 15)))
      (if (i32.eq (local.get $n) (i32.const 15))
        (then
          (loop $more
            (if (i32.ge_u (local.get $from) (local.get $end)) (then (return (i32.const 0))))
            (local.set $byte (i32.load8_u (local.get $from)))
            (local.set $from (i32.add (local.get $from) (i32.const 1)))
            (local.set $n (i32.add (local.get $n) (local.get $byte)))
            (br_if $more (i32.eq (local.get $byte) (i32.const 255))))))
      (local.set $n (i32.add (local.get $n) (i32.const 4)))
      (if (i32.gt_u (local.get $n) (i32.sub (local.get $out_end) (local.get $out))) (then (return (i32.const 0))))

      (if (i32.ge_u (local.get $distance) (i32.const 16))
        (then (call $copy16 (local.get $out) (i32.sub (local.get $out) (local.get $distance)) (local.get $n)))
        (else
          ;; Bytes that repeat themselves: what was written is read again. Once 16 of them stand there, a multiple of
          ;; the distance that is at least 16 says the same and can be copied in steps.
          (local.set $step (local.get $n))
          (if (i32.gt_u (local.get $n) (i32.const 32)) (then (local.set $step (i32.const 32))))
          (local.set $byte (local.get $out))
          (local.set $step (i32.add (local.get $out) (local.get $step)))
          (loop $bytes
            (i32.store8 (local.get $byte) (i32.load8_u (i32.sub (local.get $byte) (local.get $distance))))
            (local.set $byte (i32.add (local.get $byte) (i32.const 1)))
            (br_if $bytes (i32.lt_u (local.get $byte) (local.get $step))))
          (if (i32.gt_u (local.get $n) (i32.const 32))
            (then
              (local.set $distance
                (i32.mul
                  (local.get $distance)
                  (i32.div_u (i32.add (local.get $distance) (i32.const 15)) (local.get $distance))))
              (call $copy16
                (local.get $byte)
                (i32.sub (local.get $byte) (local.get $distance))
                (i32.sub (local.get $n) (i32.const 32)))))))
      (local.set $out (i32.add (local.get $out) (local.get $n)))
      (br $sequence))
    (unreachable)))
