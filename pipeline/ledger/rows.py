"""Between the words of `model` and the columns of `schema`, both ways."""

from __future__ import annotations

import json
from dataclasses import asdict
from functools import cache
from typing import Any

from pydantic import TypeAdapter, ValidationError
from sqlalchemy import RowMapping

from pipeline.errors import LedgerError
from pipeline.model import Attempt, Delivery, DeliveryKey, Entry, Image, Receipt, Release, Rendition


def key_columns(key: DeliveryKey) -> dict[str, str]:
    """The key as columns."""
    return key._asdict()


def rendition_columns(rendition: Rendition) -> dict[str, Any]:
    """A rendition as columns of a delivery."""
    return {
        "rendition_key": rendition.key,
        "body": rendition.body,
        "text": rendition.text,
        "media": as_json([asdict(image) for image in rendition.media]),
    }


def receipt_columns(receipt: Receipt) -> dict[str, Any]:
    """A receipt as columns of a delivery."""
    return {"remote_id": receipt.remote_id, "url": receipt.url, "digest": receipt.digest}


def delivery(row: RowMapping) -> Delivery:
    """A row of `deliveries`."""
    return Delivery(
        key=DeliveryKey(row["campaign"], row["entry"], row["channel"]),
        network=row["network"],
        state=row["state"],
        date=row["date"],
        due=row["due"],
        closes=row["closes"],
        reason=row["reason"],
        attempts=row["attempts"],
        not_before=row["not_before"],
        lease=row["lease"],
        lease_until=row["lease_until"],
        sent_at=row["sent_at"],
        rendition=None if row["body"] is None else _rendition(row),
        receipt=(
            None
            if row["remote_id"] is None
            else Receipt(remote_id=row["remote_id"], url=row["url"], digest=row["digest"])
        ),
        published_at=row["published_at"],
    )


def _rendition(row: RowMapping) -> Rendition:
    return Rendition(
        key=row["rendition_key"],
        body=bytes(row["body"]),
        text=row["text"],
        media=tuple(Image(**image) for image in json.loads(row["media"])),
    )


def attempt(row: RowMapping) -> Attempt:
    """A row of `attempts`."""
    return Attempt(
        key=DeliveryKey(row["campaign"], row["entry"], row["channel"]),
        number=row["number"],
        started=row["started"],
        ended=row["ended"],
        outcome=row["outcome"],
        detail=row["detail"],
        digest=row["digest"],
    )


def release(row: RowMapping) -> Release:
    """A row of `releases`. Raises LedgerError when its snapshot cannot be read."""
    try:
        entry = _entries().validate_json(row["snapshot"])
    except ValidationError as error:
        where = f"{row['campaign']}/{row['entry']}"
        raise LedgerError(
            f"the ledger's snapshot of {where} cannot be read: {error.errors()[0]['msg']}",
            hint="Put a backup of the ledger in its place.",
        ) from error
    return Release(
        campaign=row["campaign"],
        entry=entry,
        date=row["date"],
        released=row["released"],
        updated=row["updated"],
        retracted=row["retracted"],
    )


def snapshot(entry: Entry) -> str:
    """The whole entry as JSON, from which it comes back equal."""
    return as_json(_entries().dump_python(entry, mode="json"))


def as_json(value: Any) -> str:
    """The one way JSON is written into the ledger and its exports: compact, readable, keys as they stand.

    Always one line: some programs take these three characters for the end of one.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("\x85", "\\u0085").replace("\u2028", "\\u2028").replace("\u2029", "\\u2029")


@cache
def _entries() -> TypeAdapter[Entry]:
    return TypeAdapter(Entry)
