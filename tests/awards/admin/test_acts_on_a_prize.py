"""A prize's own page: changing its stock, and adding codes to its pool."""

import uuid

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile
from django.db.models.functions import Now
from django.urls import reverse

from awards.admin import forms
from awards.models import Coupon, Prize, StockChange
from awards.services import campaigns
from tests.awards.admin.test_campaigns_in_the_admin import page_of, text
from tests.awards.given import a_campaign, a_coupon_prize, a_draw, a_gift, hand_out

pytestmark = pytest.mark.django_db


def at(act: str, prize: Prize) -> str:
    return reverse(f"admin:awards_prize_{act}", args=[prize.pk])


def stock_form(act: str, pieces: object = "", **changes) -> dict[str, object]:
    return {"act": act, "pieces": pieces, "reason": "a delivery", "request_id": uuid.uuid4(), **changes}


def known_codes() -> list[str]:
    return list(Coupon.objects.order_by("pk").values_list("code", flat=True))


def test_stock_is_added_with_a_reason_and_stands_in_the_book(desk):
    prize = a_gift(a_campaign(), stock=5)

    page = desk.post(at("stock", prize), stock_form("add", 3), follow=True)

    prize.refresh_from_db()
    assert prize.stock == 8
    assert "The stock is 8 now." in text(page)
    assert "a delivery" in text(page)
    assert StockChange.objects.get().actor == "maria"


def test_a_form_sent_twice_changes_the_stock_once(desk):
    prize = a_gift(a_campaign(), stock=5)
    form = stock_form("add", 3)

    for _ in range(2):
        desk.post(at("stock", prize), form)

    prize.refresh_from_db()
    assert prize.stock == 8


def test_a_form_that_was_gone_back_to_and_sent_once_more_changes_the_stock_once(desk):
    prize = a_gift(a_campaign(), stock=5)
    desk.post(at("stock", prize), stock_form("add", 3))

    page = desk.post(at("stock", prize), stock_form("add", 3))
    meant = [stock_form("add", 3, reason="another delivery"), stock_form("add", 4)]
    answers = [desk.post(at("stock", prize), form).status_code for form in meant]

    prize.refresh_from_db()
    assert "so it was not done again" in text(page)
    assert answers == [302, 302]
    assert prize.stock == 5 + 3 + 3 + 4


def test_the_same_change_is_made_by_another_person_for_another_prize_and_later(desk, client, django_user_model):
    campaign = a_campaign()
    prize, other = a_gift(campaign, stock=5), a_gift(campaign, "PEN-02", stock=5)
    desk.post(at("stock", prize), stock_form("add", 3))

    desk.post(at("stock", other), stock_form("add", 3))
    StockChange.objects.filter(prize=prize).update(at=Now() - campaigns.ONCE_MORE)
    desk.post(at("stock", prize), stock_form("add", 3))
    client.force_login(django_user_model.objects.create_superuser("root", password="x"))
    client.post(at("stock", prize), stock_form("add", 3))

    assert list(Prize.objects.order_by("pk").values_list("stock", flat=True)) == [14, 8]


@pytest.mark.parametrize(
    ("stock", "form", "said"),
    [
        (2, stock_form("remove", 3), "Only 2 pieces are left by now."),
        (2, stock_form("add", 2**31 - 1), "larger than can be written down"),
        (2, stock_form("limit", 3), "This stock has a limit already."),
        (None, stock_form("add", 3), "This stock has no limit"),
        (2, stock_form("add"), "Say how many."),
        (2, stock_form("add", 0), "Give at least 1."),
        (2, stock_form("add", -3), "greater than or equal to 0"),
        (2, stock_form("add", "x"), "Enter a whole number."),
        (2, stock_form("add", 3, reason=" "), "This field is required."),
        (2, stock_form("burn", 3), "Select a valid choice."),
    ],
)
def test_what_cannot_be_done_is_said_and_what_was_entered_stays(desk, stock, form, said):
    prize = a_gift(a_campaign(), stock=stock)

    page = desk.post(at("stock", prize), form)

    prize.refresh_from_db()
    assert page.status_code == 200
    assert said in text(page)
    assert prize.stock == stock
    assert "a delivery" in page.content.decode() or form["reason"] == " "


def test_only_the_acts_that_fit_are_offered(desk):
    campaign = a_campaign()
    limited, endless = a_gift(campaign, stock=5), a_gift(campaign, "PEN-02", stock=None)

    assert "Add to the stock" in text(desk.get(at("stock", limited)))
    assert "Set a limit" not in text(desk.get(at("stock", limited)))
    assert "Set a limit" in text(desk.get(at("stock", endless)))


def test_codes_are_looked_through_first_and_then_added(desk):
    prize = a_coupon_prize(a_campaign(), stock=5)

    looked = desk.post(at("codes", prize), {"codes": "code\nCODE-1111-AAAA\n\nCODE-2222-BBBB\n"})
    before = known_codes()
    added = desk.post(at("codes", prize), {"codes": "CODE-1111-AAAA\nCODE-2222-BBBB", "add": "yes"}, follow=True)

    assert "2 codes will be added" in text(looked)
    assert "The first ends as ••••AAAA, the last as ••••BBBB." in text(looked)
    assert "The heading in the first line is passed over. 1 blank line is passed over." in text(looked)
    assert before == []
    assert known_codes() == ["CODE-1111-AAAA", "CODE-2222-BBBB"]
    assert "2 codes were added." in text(added)
    assert "Codes free 2" in text(added)


@pytest.mark.parametrize("name", ["codes.csv", "codes.txt"])
def test_codes_come_from_a_file(desk, name):
    prize = a_coupon_prize(a_campaign())
    file = SimpleUploadedFile(name, b'\xef\xbb\xbfcode\r\nA-1\r\n"A-2",\r\n')

    looked = desk.post(at("codes", prize), {"codes": "", "file": file})

    assert looked.context["listed"] == "A-1\nA-2"


def test_every_faulty_line_is_told_and_none_is_taken(desk):
    prize = a_coupon_prize(a_campaign(), codes=1)
    (known,) = known_codes()
    listed = f"GOOD\n{known}\nGOOD\nA\0B\n{'x' * 65}\na,b\n\n"

    page = desk.post(at("codes", prize), {"codes": listed, "add": "yes"})

    assert page.status_code == 200
    assert "Nothing was added: 5 lines cannot be taken." in text(page)
    for said in [
        "The code in line 2 is in the pool already.",
        "Line 3 repeats the code of line 1.",
        "Line 4 holds a character that cannot be printed or is not seen.",
        "Line 5 is longer than 64 characters.",
        "Line 6 has more than one column.",
    ]:
        assert said in text(page)
    assert known_codes() == [known]


def test_many_faults_are_told_in_part_and_counted(desk):
    page = desk.post(at("codes", a_coupon_prize(a_campaign())), {"codes": "\n".join(["SAME"] * 60)})

    assert "Nothing was added: 59 lines cannot be taken." in text(page)
    assert "And 9 lines more." in text(page)


@pytest.mark.parametrize(
    ("posted", "said"),
    [
        ({"codes": ""}, "Paste the codes, or choose a file."),
        ({"codes": " \n \n"}, "Paste the codes, or choose a file."),
        ({"codes": "code"}, "There is no code in it."),
        ({"codes": "A", "file": b"B"}, "Paste the codes, or choose a file."),
        ({"codes": "", "file": b"\xff\xfeA\0B\0"}, "not text in UTF-8"),
        ({"codes": "", "file": b""}, "The submitted file is empty."),
        ({"codes": "", "file": b"A\n" * 524_289}, "larger than 1 MiB"),
        ({"codes": "A\n" * 524_289}, "larger than 1 MiB"),
    ],
)
def test_a_list_that_is_none_is_refused(desk, posted, said):
    if "file" in posted:
        posted = {**posted, "file": SimpleUploadedFile("codes.csv", posted["file"])}

    page = desk.post(at("codes", a_coupon_prize(a_campaign())), posted)

    assert page.status_code == 200
    assert said in text(page)
    assert known_codes() == []


def test_more_codes_than_are_taken_at_once_are_refused(desk, monkeypatch):
    monkeypatch.setattr(forms, "MOST_CODES", 2)

    page = desk.post(at("codes", a_coupon_prize(a_campaign())), {"codes": "A\nB\nC", "add": "yes"})

    assert "These are 3 codes. Add at most 2 at once." in text(page)
    assert known_codes() == []


def test_codes_that_somebody_added_since_they_were_looked_through_are_told(desk, monkeypatch):
    prize = a_coupon_prize(a_campaign())
    monkeypatch.setattr(campaigns, "known_codes", lambda prize, codes: set())
    Coupon.objects.create(prize=prize, code="B")

    page = desk.post(at("codes", prize), {"codes": "A\nB", "add": "yes"})

    assert "somebody else has just added some of these codes" in text(page)
    assert known_codes() == ["B"]


def test_a_prize_of_another_kind_has_no_pool(desk):
    assert desk.get(at("codes", a_gift(a_campaign()))).status_code == 404
    assert desk.get(reverse("admin:awards_prize_codes", args=[2_000_000_000])).status_code == 404


def test_codes_are_masked_in_the_list_and_on_their_page_and_found_in_full(desk):
    campaign = a_campaign()
    a_coupon_prize(campaign, codes=2)
    hand_out(a_draw(campaign).award)
    listing = reverse("admin:awards_coupon_changelist")

    pages = [desk.get(listing), desk.get(listing, {"free": "yes"}), desk.get(page_of(Coupon.objects.first()))]
    found = desk.get(listing, {"q": "CODE-0002-ABCD"})

    assert "CODE-000" not in "".join(page.content.decode() for page in pages)
    assert "••••ABCD" in text(pages[0])
    assert "1 coupon" in text(pages[1])
    assert "1 coupon" in text(found)


def test_codes_that_nobody_has_can_be_withdrawn_and_the_others_stay(desk):
    campaign = a_campaign()
    a_coupon_prize(campaign, codes=3)
    hand_out(a_draw(campaign).award)
    chosen = list(Coupon.objects.values_list("pk", flat=True))

    page = desk.post(
        reverse("admin:awards_coupon_changelist"), {"action": "withdraw", "_selected_action": chosen}, follow=True
    )

    assert known_codes() == ["CODE-0001-ABCD"]
    assert "2 codes were withdrawn." in text(page)
    assert "1 code belongs to an award and stays." in text(page)
