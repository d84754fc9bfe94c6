//! What the refusals say, in three languages. The places `{0}`, `{1}` … are filled in by `Refusal::message`.

use super::{
    messages::Text,
    refusal::{JsonType, Refusal, Rule},
};
use crate::signing::credential::CredentialError;

/// The text of a refusal, its places open.
#[expect(
    clippy::too_many_lines,
    reason = "a table with a row for each refusal, in one match so that none is forgotten"
)]
pub(super) fn of(refusal: &Refusal) -> &'static Text {
    match refusal {
        Refusal::HeaderMissing(_) => &Text {
            en: "The {0} header is missing. Usual cause: the request was not signed, or a proxy removed the header.",
            hk: "缺少 {0} 標頭。常見原因：請求未簽署，或標頭被代理移除。",
            cn: "缺少 {0} 请求头。常见原因：请求未签名，或请求头被代理移除。",
        },
        Refusal::HeaderRepeated(_) => &Text {
            en: "The {0} header is there more than once. Usual cause: two layers sign the same request.",
            hk: "{0} 標頭重複出現。常見原因：同一請求被兩層程式簽署。",
            cn: "{0} 请求头重复出现。常见原因：同一请求被两层程序签名。",
        },
        Refusal::Credential(part) => credential(*part),
        Refusal::UnknownApp => &Text {
            en: "The AppID of the credential is unknown here. Usual cause: the AppID of another environment.",
            hk: "憑證中的 AppID 不存在。常見原因：使用了另一環境的 AppID。",
            cn: "凭证中的 AppID 不存在。常见原因：使用了另一环境的 AppID。",
        },
        Refusal::TooOld(_) => &Text {
            en: "The request time is {0} seconds behind, 1800 are allowed. Usual cause: local time in place of UTC, a \
                 slow clock, or a request that was signed long before it was sent.",
            hk: "請求時間落後 {0} 秒，最多允許 1800 秒。常見原因：使用了本地時間而非 UTC、時鐘偏慢，或簽署後過久才發送。",
            cn: "请求时间落后 {0} 秒，最多允许 1800 秒。常见原因：使用了本地时间而非 UTC、时钟偏慢，或签名后过久才发送。",
        },
        Refusal::TooNew(_) => &Text {
            en: "The request time is {0} seconds ahead, 1800 are allowed. Usual cause: local time in place of UTC, or \
                 a fast clock.",
            hk: "請求時間超前 {0} 秒，最多允許 1800 秒。常見原因：使用了本地時間而非 UTC，或時鐘偏快。",
            cn: "请求时间超前 {0} 秒，最多允许 1800 秒。常见原因：使用了本地时间而非 UTC，或时钟偏快。",
        },
        Refusal::NonceFormat => &Text {
            en: "The nonce is not 16 characters of 0-9, A-Z, a-z. Usual cause: a UUID or base64 in its place.",
            hk: "Nonce 不是 16 個 0-9、A-Z、a-z 字元。常見原因：使用了 UUID 或 base64。",
            cn: "Nonce 不是 16 个 0-9、A-Z、a-z 字符。常见原因：使用了 UUID 或 base64。",
        },
        Refusal::NonceReplayed => &Text {
            en: "The nonce was used before. Usual cause: a retry that sends the same signature again; sign every \
                 attempt anew.",
            hk: "Nonce 已被使用。常見原因：重試時重發了相同的簽名；每次嘗試都應重新簽署。",
            cn: "Nonce 已被使用。常见原因：重试时重发了相同的签名；每次尝试都应重新签名。",
        },
        Refusal::SignatureEncoding => &Text {
            en: "The signature is not padded standard base64 in one line. Usual cause: URL-safe base64, hex, or \
                 removed padding.",
            hk: "簽名不是單行、帶填充的標準 base64。常見原因：使用了 URL 安全 base64、十六進制，或移除了填充。",
            cn: "签名不是单行、带填充的标准 base64。常见原因：使用了 URL 安全 base64、十六进制，或移除了填充。",
        },
        Refusal::SignatureMismatch { mistake: Some(_), .. } => &Text {
            en: "The signature does not match the request and the public key {0} of this AppID; a target of {1} bytes \
                 and a body of {2} bytes arrived. Cause: {3}.",
            hk: "簽名與請求及此 AppID 的公鑰 {0} 不符；收到的目標為 {1} 位元組，主體為 {2} 位元組。原因：{3}.",
            cn: "签名与请求及此 AppID 的公钥 {0} 不符；收到的目标为 {1} 字节，正文为 {2} 字节。原因：{3}.",
        },
        Refusal::SignatureMismatch { mistake: None, .. } => &Text {
            en: "The signature does not match the request and the public key {0} of this AppID; a target of {1} bytes \
                 and a body of {2} bytes arrived. Usual causes: a target signed without its query, decoded or re-encoded; a body changed after it was signed \
                 (spaces, line end, key order); a time or nonce other than the one in the headers.",
            hk: "簽名與請求及此 AppID 的公鑰 {0} 不符；收到的目標為 {1} 位元組，主體為 {2} 位元組。\
                 常見原因：簽署的目標缺少查詢字串、經解碼或重新編碼；主體在簽署後被更改（空格、換行、鍵次序）；\
                 時間或 nonce 與標頭不同。",
            cn: "签名与请求及此 AppID 的公钥 {0} 不符；收到的目标为 {1} 字节，正文为 {2} 字节。\
                 常见原因：签名的目标缺少查询字符串、经解码或重新编码；正文在签名后被更改（空格、换行、键顺序）；\
                 时间或 nonce 与请求头不同。",
        },
        Refusal::NotJson => {
            &Text { en: "The body is not JSON.", hk: "主體不是 JSON。", cn: "正文不是 JSON。" }
        }
        Refusal::FieldMissing(_) => {
            &Text { en: "{0} is required.", hk: "必須提供 {0}。", cn: "必须提供 {0}。" }
        }
        Refusal::FieldType(_, JsonType::Object) => {
            &Text { en: "{0} must be an object.", hk: "{0} 必須是物件。", cn: "{0} 必须是对象。" }
        }
        Refusal::FieldType(_, JsonType::Text) => {
            &Text { en: "{0} must be a string.", hk: "{0} 必須是字串。", cn: "{0} 必须是字符串。" }
        }
        Refusal::FieldTooLong(..) => {
            &Text {
                en: "{0} has more than {1} characters.", hk: "{0} 超過 {1} 個字元。", cn: "{0} 超过 {1} 个字符。"
            }
        }
        Refusal::FieldValue(_, rule) => broken(*rule),
        Refusal::NoCustomer => {
            &Text { en: "There is no such customer.", hk: "沒有此客戶。", cn: "没有此客户。" }
        }
        Refusal::NoToken => {
            &Text {
                en: "There is no such payment token.", hk: "沒有此付款令牌。", cn: "没有此支付令牌。"
            }
        }
        Refusal::NotServed(_) => &Text {
            en: "The signature is right. Wonder has this operation ({0}), but the simulator does not serve it; \
                 deploy/docs/wonder.md lists what it serves.",
            hk: "簽名正確。Wonder 提供此操作（{0}），但模擬器不提供；deploy/docs/wonder.md 列出模擬器提供的操作。",
            cn: "签名正确。Wonder 提供此操作（{0}），但模拟器不提供；deploy/docs/wonder.md 列出模拟器提供的操作。",
        },
        Refusal::NoRoute => &Text {
            en: "The signature is right, but no operation of Wonder is known at this path. Usual cause: a misspelt path, a slash \
                 at its end, or another version.",
            hk: "簽名正確，但此路徑沒有已知的 Wonder 操作。常見原因：路徑拼寫錯誤、結尾多了斜線，或版本不同。",
            cn: "签名正确，但此路径没有已知的 Wonder 操作。常见原因：路径拼写错误、结尾多了斜线，或版本不同。",
        },
        Refusal::NotWonder => &Text {
            en: "The path is not under /svc/, where all signed calls are.",
            hk: "路徑不在 /svc/ 之下；所有已簽署的請求都在該處。",
            cn: "路径不在 /svc/ 之下；所有已签名的请求都在该处。",
        },
        Refusal::Method => &Text {
            en: "The path does not take this method; the Allow header names those it takes.",
            hk: "此路徑不接受此方法；Allow 標頭列出可用的方法。",
            cn: "此路径不接受此方法；Allow 响应头列出可用的方法。",
        },
        Refusal::BodyTimeout => {
            &Text {
                en: "The body did not arrive in time.", hk: "主體未能及時送達。", cn: "正文未能及时送达。"
            }
        }
        Refusal::BodyCut => &Text { en: "The body broke off.", hk: "主體中斷。", cn: "正文中断。" },
        Refusal::BodyTooLarge(_) => {
            &Text {
                en: "The body has more than {0} bytes.", hk: "主體超過 {0} 位元組。", cn: "正文超过 {0} 字节。"
            }
        }
        Refusal::Full(_) => &Text {
            en: "The simulator's memory is full ({0} customers or payment tokens); delete some or start it anew.",
            hk: "模擬器的記憶體已滿（{0} 個客戶或付款令牌）；請刪除部分資料或重新啟動。",
            cn: "模拟器的内存已满（{0} 个客户或支付令牌）；请删除部分数据或重新启动。",
        },
    }
}

/// All begin with Wonder's own sentence for `E000002`.
fn credential(part: CredentialError) -> &'static Text {
    match part {
        CredentialError::Algorithm => &Text {
            en: "Invalid Credential Format. The third part is not Wonder-RSA-SHA256.",
            hk: "憑證格式無效。第三部分不是 Wonder-RSA-SHA256。",
            cn: "凭证格式无效。第三部分不是 Wonder-RSA-SHA256。",
        },
        CredentialError::MobileAlgorithm => &Text {
            en: "Invalid Credential Format. The third part is Wonder-HMAC-SHA256, the mobile SDK's scheme; a server signs with \
                 Wonder-RSA-SHA256.",
            hk: "憑證格式無效。第三部分是流動 SDK 的 Wonder-HMAC-SHA256；伺服器應使用 Wonder-RSA-SHA256。",
            cn: "凭证格式无效。第三部分是移动 SDK 的 Wonder-HMAC-SHA256；服务器应使用 Wonder-RSA-SHA256。",
        },
        CredentialError::AppId => &Text {
            en: "Invalid Credential Format. The AppID is not a UUID. Usual cause: the name of the app in its place.",
            hk: "憑證格式無效。AppID 不是 UUID。常見原因：使用了應用程式名稱。",
            cn: "凭证格式无效。AppID 不是 UUID。常见原因：使用了应用名称。",
        },
        CredentialError::RequestTime => &Text {
            en: "Invalid Credential Format. The request time is not a UTC time yyyymmddHHMMSS. Usual cause: RFC 3339 \
                 or Unix seconds in its place.",
            hk: "憑證格式無效。請求時間不是 yyyymmddHHMMSS 格式的 UTC 時間。常見原因：使用了 RFC 3339 或 Unix 秒數。",
            cn: "凭证格式无效。请求时间不是 yyyymmddHHMMSS 格式的 UTC 时间。常见原因：使用了 RFC 3339 或 Unix 秒数。",
        },
        CredentialError::Parts | CredentialError::Nonce => &Text {
            en: "Invalid Credential Format. It does not have the three parts <AppID>/<request \
                 time>/Wonder-RSA-SHA256.",
            hk: "憑證格式無效。應有三部分：<AppID>/<請求時間>/Wonder-RSA-SHA256。",
            cn: "凭证格式无效。应有三部分：<AppID>/<请求时间>/Wonder-RSA-SHA256。",
        },
    }
}

fn broken(rule: Rule) -> &'static Text {
    match rule {
        Rule::OneOf(_) => {
            &Text {
                en: "{0} must be one of: {1}.", hk: "{0} 必須是以下之一：{1}。", cn: "{0} 必须是以下之一：{1}。"
            }
        }
        Rule::ExactlyOne(_) => &Text {
            en: "{0} needs exactly one of: {1}.",
            hk: "{0} 必須只有以下其中一項：{1}。",
            cn: "{0} 必须只有以下其中一项：{1}。",
        },
        Rule::Number(..) => &Text {
            en: "{0} must be a whole number from {1} to {2}.",
            hk: "{0} 必須是 {1} 至 {2} 的整數。",
            cn: "{0} 必须是 {1} 至 {2} 的整数。",
        },
        Rule::CardNumber => &Text {
            en: "{0} must be 12 to 19 digits without spaces.",
            hk: "{0} 必須是 12 至 19 位數字，且不含空格。",
            cn: "{0} 必须是 12 至 19 位数字，且不含空格。",
        },
        Rule::Month => &Text {
            en: "{0} must be two digits, 01 to 12.",
            hk: "{0} 必須是兩位數字，01 至 12。",
            cn: "{0} 必须是两位数字，01 至 12。",
        },
        Rule::Year => &Text {
            en: "{0} must be the last two digits of the year.",
            hk: "{0} 必須是年份的最後兩位數字。",
            cn: "{0} 必须是年份的最后两位数字。",
        },
        Rule::Unexpired => &Text {
            en: "{0} and exp_month are in the past: the card has expired.",
            hk: "{0} 及 exp_month 已過：此卡已過期。",
            cn: "{0} 及 exp_month 已过：此卡已过期。",
        },
        Rule::Country => &Text {
            en: "{0} must be an ISO 3166 alpha-3 country code such as HKG.",
            hk: "{0} 必須是 ISO 3166 三位字母國家代碼，例如 HKG。",
            cn: "{0} 必须是 ISO 3166 三位字母国家代码，例如 HKG。",
        },
        Rule::Url => &Text {
            en: "{0} must be a complete http or https URL.",
            hk: "{0} 必須是完整的 http 或 https 網址。",
            cn: "{0} 必须是完整的 http 或 https 网址。",
        },
        Rule::UsableToken => &Text {
            en: "{0} must be a payment token in state success.",
            hk: "{0} 必須是狀態為 success 的付款令牌。",
            cn: "{0} 必须是状态为 success 的支付令牌。",
        },
        Rule::Fixed => &Text { en: "{0} cannot be changed.", hk: "{0} 不能更改。", cn: "{0} 不能更改。" },
        Rule::Unsupported => {
            &Text {
                en: "{0} is not supported by the simulator.", hk: "模擬器不支援 {0}。", cn: "模拟器不支持 {0}。"
            }
        }
    }
}
